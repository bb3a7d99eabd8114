package state

import (
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// globalSecrets is what a global's secrets make of it: its keys, its list of revoked tokens, and what it answered to
// tokens since.
type globalSecrets struct {
	why         string // they could not be read
	keys        zonetoken.KeySet
	list        []byte
	revocations zonetoken.Revocations
	made        map[string]kube.Metadata
	cache       *zonetoken.VerdictCache
}

// globalSecretsIn reads the secrets of a global. Nobody changes what it returns.
func globalSecretsIn(read map[plan.Read]plan.Result, ns string) globalSecrets {
	return plan.Cached(read[readSecrets(ns)], func(plan.Result) globalSecrets {
		all, why := SecretsIn(read, ns)
		g := globalSecretsOf(ns, all)
		g.why = why
		return g
	})
}

// globalSecretsOf reads the secrets of a global.
func globalSecretsOf(ns string, all []secretObject) globalSecrets {
	g := globalSecrets{made: map[string]kube.Metadata{},
		cache: &zonetoken.VerdictCache{Answers: map[zonetoken.VerdictKey]*zonetoken.CachedVerdict{}}}
	var candidates []zonetoken.Secret
	for _, o := range all {
		sec := zonetoken.Secret{Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, Type: o.Type,
			Labels: o.Metadata.Labels, Value: plan.NewSecret(o.Data[zonetoken.SecretKey])}
		candidates, g.made[o.Metadata.Name] = append(candidates, sec), o.Metadata
		if o.Type == zonetoken.SecretType && o.Metadata.Name == zonetoken.RevocationsName {
			g.list = o.Data[zonetoken.SecretKey]
			g.revocations = zonetoken.ParseRevocations(g.list)
		}
	}
	g.keys = zonetoken.ReadKeys(ns, candidates)
	return g
}

// secretObject is a Secret as it was read. Its data never leaves this package but as plan.Secret.
type secretObject struct {
	Metadata kube.Metadata `json:"metadata"`
	Type     string        `json:"type"`
	// Immutable says that the data is as it was when the object was made.
	Immutable bool              `json:"immutable"`
	Data      map[string][]byte `json:"data"`

	tokens map[string]*zonetoken.Zone // what the tokens in Data say of themselves, of those that are some
}

// secretList are the secrets of a namespace.
type secretList struct {
	items []secretObject
	odd   bool // they are not as their kind says
}

// SecretsIn decodes the secrets of a namespace and the tokens among them, and says why they could not be read. Nobody
// changes what it returns.
func SecretsIn(read map[plan.Read]plan.Result, ns string) ([]secretObject, string) {
	r := read[readSecrets(ns)]
	if why := kube.Unreadable(r); why != "" {
		return nil, fmt.Sprintf("the secrets in %s could not be read: %s", ns, why)
	}
	l := plan.Cached(r, func(r plan.Result) (l secretList) {
		items, err := kube.DecodeList[secretObject](r.Body)
		if err != nil {
			return secretList{odd: true} // the cause may quote one
		}
		for i := range items {
			items[i].tokens = map[string]*zonetoken.Zone{}
			for key, value := range items[i].Data {
				if z, err := zonetoken.ReadZone(value); err == nil {
					items[i].tokens[key] = &z
				}
			}
		}
		l.items = items
		return l
	})
	if l.odd {
		return nil, fmt.Sprintf("the secrets in %s are not as their kind says", ns)
	}
	return l.items, ""
}

// tokenSecret begins the names of the secrets that we put tokens into. A serial follows: none of them is ever written
// twice, so that what a process was started with is known by the name, and the one before is there for the way back.
const tokenSecret = "xcpauth-zone-token-"

// TokenKey is the key of a token's secret (the product's page).
const TokenKey = "token"
