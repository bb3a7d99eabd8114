package migration

import (
	"errors"
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Request is what is asked of a global so that a zone gets a token of the newest key; the error says why there is
// none to be had.
func Request(f plan.State, goal plan.Goal, zone string) (plan.TokenRequest, error) {
	t := plan.TokenRequest{API: issuedBy(f.Hub, goal), KeyAPI: f.Hub.StateAPI, Hub: f.Hub.Context, Subject: zone,
		ValidFor: goal.ValidFor, DataKey: state.TokenKey}
	for _, k := range f.Hub.Keys {
		if k.Signs && k.Wrong == "" {
			t.Key, t.KeyID = k.Object, k.ID
		}
	}
	switch {
	case t.API != nil && t.API.Off != "":
		return t, fmt.Errorf("%s; pass --tokens-from=key", t.API.Off)
	case t.KeyID == "" && f.Hub.KeysErr != "":
		return t, errors.New(f.Hub.KeysErr)
	case t.KeyID == "":
		return t, fmt.Errorf("the global in %s has no key that signs; kubectl xcpauth key list shows why", f.Hub.Context)
	}
	return t, nil
}

// issuedBy is the API to ask for tokens on the way to a goal; nil where the key is to sign.
func issuedBy(h plan.Hub, goal plan.Goal) *plan.HubAPI {
	if goal.FromKey || h.API == nil {
		return nil
	}
	api := *h.API
	if goal.OwnLogin {
		api.Login = plan.Ref{}
	}
	return &api
}

// requestText says which token is asked for, and who makes it.
func requestText(t plan.TokenRequest) string {
	by := "signed here with that key; the product's access control and audit do not see it"
	switch {
	case t.API == nil:
	case t.API.URL != "":
		by = "issued by the global's API at " + t.API.URL
	case t.API.Login.Name == "" && t.API.NoLogin:
		by = "issued by the global's API, asked from its own host, as its administrator or with your token"
	case t.API.Login.Name == "":
		by = "issued by the global's API, asked with your token"
	default:
		by = fmt.Sprintf("issued by the global's API, asked with secret %s/%s", t.API.Login.Namespace, t.API.Login.Name)
	}
	return fmt.Sprintf("a token for zone %s of key %s, valid for %s, %s", t.Subject, t.KeyID, plan.Short(t.ValidFor), by)
}
