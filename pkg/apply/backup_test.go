package apply

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// A secret of which a copy is kept is deleted only once that can be read back, and made again from it only where it
// is gone.
func TestASecretIsDeletedWithItsCopyAndMadeAgain(t *testing.T) {
	token := apifake.Secret("ns", "token", map[string]string{"jwt": "old"})
	copied := func(text string) apifake.Object {
		return apifake.Secret("ns", "before", map[string]string{"jwt": text})
	}
	remove := plan.Write{Context: "edge", Object: plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret",
		Namespace: "ns", Name: "token", UID: "uid-token"}, Op: plan.OpDelete, BackupAs: "before"}
	again, any := remove.Undo()
	if !any {
		t.Fatal("what is kept has no way back")
	}
	const deleted = `DELETE token {"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"uid-token"}}`
	another := remove
	another.Object.UID = "uid-of-another"
	var changed *engine.ChangedError
	for _, tc := range []struct {
		name, forbidden string
		patch           plan.Write
		objects         []apifake.Object
		wrote           []string
		says            string
		changed         bool
	}{
		{"it is kept already", "", remove, []apifake.Object{token, copied("old")}, []string{deleted}, "", false},
		{"an older copy is replaced first", "", remove, []apifake.Object{token, copied("older")},
			[]string{`PATCH before {"data":{"jwt":"b2xk"}}`, deleted}, "", false},
		{"a copy that cannot be read is none", "before", remove, []apifake.Object{token, copied("old")}, nil,
			"could not be read back", false},
		{"it is gone already", "", remove, nil, nil, "", false},
		{"it is another one by now", "", another, []apifake.Object{token, copied("old")}, nil, "re-created", true},
		{"it is made again", "", again, []apifake.Object{copied("old")},
			[]string{`POST secrets {"apiVersion":"v1","data":{"jwt":"b2xk"},"kind":"Secret","metadata":{"name":"token","namespace":"ns"},"type":null}`}, "", false},
		{"one that is there is left", "", again, []apifake.Object{token, copied("older")}, nil, "", false},
		{"one that is there, and no copy", "", again, []apifake.Object{token}, nil, "", false},
		{"neither is there", "", again, nil, nil, "being deleted", true},
		{"the copy cannot be read", "before", again, []apifake.Object{token}, nil,
			"reading the copy of Secret ns/token in edge", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			live, wrote := writes(t, tc.forbidden, tc.objects...)
			did, err := live.Write(t.Context(), tc.patch, nil)
			if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) ||
				errors.As(err, &changed) != tc.changed {
				t.Errorf("error %v, want %q", err, tc.says)
			}
			var got []string
			for _, w := range wrote() {
				got = append(got, strings.TrimSpace(w))
			}
			if d := cmp.Diff(tc.wrote, got); d != "" || did != (len(tc.wrote) > 0) {
				t.Errorf("wrote: %t; writes (-want +got):\n%s", did, d)
			}
		})
	}
}
