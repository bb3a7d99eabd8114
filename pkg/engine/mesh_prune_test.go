package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// expiredList is a mesh of one key whose list has an ID of which an expired token is next to the first zone, and one
// that nobody knows.
func expiredList(t *testing.T) (w *mesh, dead, other string) {
	t.Helper()
	for seed := uint64(0); w == nil || w.keyless || w.away != ""; seed++ {
		w = newMesh(seed)
	}
	dead, other = zonetoken.TokenID([16]byte{1, 2, 3}), zonetoken.TokenID([16]byte{4, 5, 6})
	z := w.zones[w.names()[0]]
	token, _, err := zonetoken.Issue(zonetoken.Grant{Zone: z.name, ValidFor: time.Hour, ID: dead, KeyID: "1"},
		w.keys[zonetoken.KeyName("1")].PrivateKey, w.now.Add(-24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	z.secrets["old"] = newSecret("old", token.Reveal(), w.now.Add(-24*time.Hour), false)
	w.list = []byte(dead + "," + other + "\n")
	return w, dead, other
}

func TestAPruningIsAStepLikeEveryOther(t *testing.T) {
	w, _, other := expiredList(t)
	if r, _ := w.run(plan.Goal{Prune: true}, nil); !r.Done || string(w.list) != other || len(w.home.History) == 0 {
		t.Fatalf("done: %v; the list is %q, the journal %+v\n%s", r.Done, w.list, w.home.History, strings.Join(w.log, "\n"))
	}
	w.writes = 0
	if r, _ := w.run(plan.Goal{Prune: true}, nil); !r.Done || w.writes != 0 || string(w.list) != other {
		t.Errorf("done: %v; once more: %d writes, and the list is %q", r.Done, w.writes, w.list)
	}
}

// addsFirst adds an ID to the list right before the first write of it.
type addsFirst struct {
	*mesh
	id   string
	done bool
}

func (c *addsFirst) Write(ctx context.Context, p plan.Write, still func() error) (bool, error) {
	if p.Object.Name == zonetoken.RevocationsName && !c.done {
		c.done = true
		c.list = []byte(strings.TrimSpace(string(c.list)) + "," + c.id)
	}
	return c.mesh.Write(ctx, p, still)
}

func TestWhatIsRevokedMeanwhileStaysSo(t *testing.T) {
	w, dead, other := expiredList(t)
	added := zonetoken.TokenID([16]byte{7})
	prune := func() Result {
		r, _ := w.run(plan.Goal{Prune: true}, func(e *Executor) {
			e.Clusters = &addsFirst{mesh: w, id: added, done: strings.Contains(string(w.list), added)}
		})
		return r
	}
	if r := prune(); r.Done || string(w.list) != dead+","+other+","+added {
		t.Fatalf("done: %v; the list is %q", r.Done, w.list)
	}
	if r := prune(); !r.Done || string(w.list) != other+","+added {
		t.Errorf("done: %v; the list is %q", r.Done, w.list)
	}
}
