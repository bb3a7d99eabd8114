package mesh

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
)

// real is the product itself, where the environment names its programs: KUMA_CP and KUMACTL. Then every pod of a mesh
// runs kuma-cp, the chart is kumactl's, and only what leans on the stand-in is left out; each test says so.
var real = struct {
	*fleet.Program
	product fleet.Product
	version string
	err     error
}{}

func init() {
	cp, ctl := os.Getenv("KUMA_CP"), os.Getenv("KUMACTL")
	if cp == "" && ctl == "" {
		return
	}
	if cp == "" || ctl == "" {
		real.err = fmt.Errorf("KUMA_CP=%q and KUMACTL=%q: set both, or neither for the stand-in", cp, ctl)
		return
	}
	real.Program = &fleet.Program{ControlPlane: cp, Kumactl: ctl}
	real.product, real.version, real.err = fleet.ProgramVersion(context.Background(), cp)
	limit = 5 * time.Minute // control planes start, and their leaders are elected
	quick[len(quick)-1] = "4m"
}

// leftOut says whether a test is left out because it leans on what the stand-in alone can do, and why.
func leftOut(t *testing.T, why string) bool {
	t.Helper()
	if real.Program != nil {
		t.Logf("left out with the real %s %s: %s", real.product, real.version, why)
	}
	return real.Program != nil
}

// unfit says why no test can run with the real program, "" where it can.
func unfit() string {
	major, _, _ := strings.Cut(real.version, ".")
	switch n, err := strconv.Atoi(major); {
	case real.err != nil:
		return real.err.Error()
	case real.Program == nil:
		return ""
	case err != nil || n < 2:
		return fmt.Sprintf("version %s of %s is not one that these tests know", real.version, real.product)
	case n > 2:
		return "from 3.0 on a global keeps nothing in Kubernetes; take Kong Mesh 2.x"
	case real.product == fleet.Kuma:
		return "Kuma " + real.version + " does not authenticate zones; take Kong Mesh 2.x"
	}
	return ""
}

// runReal has a mesh run the product, where there is one.
func runReal(o *fleet.Options) {
	if real.Program != nil {
		o.Program, o.Product, o.Version = real.Program, real.product, real.version
		o.Name, o.Namespace = "kong-mesh", namespace // whichever product it is, under the names of these tests
	}
}
