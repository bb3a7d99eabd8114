package kongmesh

import (
	"encoding/json"
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// secretObject is a Secret as it was read. Its data never leaves this package but as plan.Secret.
type secretObject struct {
	Metadata kube.Metadata `json:"metadata"`
	Type     string        `json:"type"`
	// Immutable says that the data is as it was when the object was made.
	Immutable bool              `json:"immutable"`
	Data      map[string][]byte `json:"data"`

	tokens map[string]Zone // what the tokens in Data say of themselves, of those that are some
}

// secretList are the secrets of a namespace.
type secretList struct {
	Items []secretObject `json:"items"`
	odd   bool           // they are not as their kind says
}

// secretsIn decodes the secrets of a namespace and the tokens among them, and says why they could not be read. Nobody changes what it
// returns.
func secretsIn(read map[plan.Read]plan.Result, ns string) ([]secretObject, string) {
	r := read[readSecrets(ns)]
	if why := kube.Unreadable(r); why != "" {
		return nil, fmt.Sprintf("the secrets in %s could not be read: %s", ns, why)
	}
	l := plan.Cached(r, func(r plan.Result) (l secretList) {
		if err := json.Unmarshal(r.Body, &l); err != nil {
			return secretList{odd: true} // the cause may quote one
		}
		for i := range l.Items {
			l.Items[i].tokens = map[string]Zone{}
			for key, value := range l.Items[i].Data {
				if z, err := ReadZone(value); err == nil {
					l.Items[i].tokens[key] = z
				}
			}
		}
		return l
	})
	if l.odd {
		return nil, fmt.Sprintf("the secrets in %s are not as their kind says", ns)
	}
	return l.Items, ""
}

// globalSecrets is what a global's secrets make of it: its keys, its list of revoked tokens, and what it answered to tokens since.
type globalSecrets struct {
	why         string // they could not be read
	keys        KeySet
	list        []byte
	revocations Revocations
	made        map[string]kube.Metadata
	cache       *verdictCache
}

// globalSecretsIn reads the secrets of a global. Nobody changes what it returns.
func globalSecretsIn(read map[plan.Read]plan.Result, ns string) globalSecrets {
	return plan.Cached(read[readSecrets(ns)], func(plan.Result) globalSecrets {
		g := globalSecrets{made: map[string]kube.Metadata{}, cache: &verdictCache{answers: map[verdictKey]cachedVerdict{}}}
		all, why := secretsIn(read, ns)
		g.why = why
		var candidates []Secret
		for _, o := range all {
			sec := Secret{Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, Type: o.Type, Labels: o.Metadata.Labels, Value: plan.NewSecret(o.Data[SecretKey])}
			candidates, g.made[o.Metadata.Name] = append(candidates, sec), o.Metadata
			if o.Type == SecretType && o.Metadata.Name == RevocationsName {
				g.list = o.Data[SecretKey]
				g.revocations = ParseRevocations(g.list)
			}
		}
		g.keys = ReadKeys(ns, candidates)
		return g
	})
}
