package engine

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

var updateLedgers = flag.Bool("update", false, "write down the digests of what the models write")

// ledger is a digest of what the runs of a story write, in order.
type ledger struct{ sum uint64 }

// wrote adds what is to be written: a patch as the clusters see it, not as it is kept in memory.
func (l *ledger) wrote(what, context string, o plan.Ref, doc any) {
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %s %s %s %s %s", l.sum, what, context, o.Resource, o.Namespace, o.Name, text)
	l.sum = h.Sum64()
}

// patch adds a patch.
func (l *ledger) patch(p plan.Write) {
	what := "change"
	switch {
	case p.Op == plan.OpCreate:
		what = "create"
	case p.Op == plan.OpDelete:
		what = "delete"
	case p.Op == plan.OpUpdateStatus:
		what = "status"
	}
	l.wrote(what, p.Context, p.Object, p.After)
}

// perLine is how many stories a line of a file of digests stands for.
const perLine = 100

// unchanged compares what the stories of the first seeds wrote with what they wrote when the file was made: code that
// only moves leaves the sequence of writes of each as it is. A change of behaviour is written down with -update, in a
// commit that says why.
func unchanged(t *testing.T, name string, sums []uint64) {
	t.Helper()
	if *modelSeed != 1 {
		return
	}
	var lines bytes.Buffer
	for from := 0; from+perLine <= min(len(sums), 2000); from += perLine {
		h := fnv.New64a()
		for _, sum := range sums[from : from+perLine] {
			fmt.Fprintln(h, sum)
		}
		fmt.Fprintf(&lines, "%d-%d %s\n", from+1, from+perLine, hex.EncodeToString(h.Sum(nil)))
	}
	file := filepath.Join("testdata", name)
	if *updateLedgers {
		if err := os.WriteFile(file, lines.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was := bytes.Split(bytes.TrimSpace(want), []byte("\n"))
	for i, line := range bytes.Split(bytes.TrimSpace(lines.Bytes()), []byte("\n")) {
		if len(line) > 0 && (i >= len(was) || !bytes.Equal(line, was[i])) {
			t.Errorf(
				"what the stories of seeds %s write is not what %s says: behaviour has changed; where that is meant, say why and run this with -update",
				bytes.Fields(line)[0],
				file,
			)
			return
		}
	}
}
