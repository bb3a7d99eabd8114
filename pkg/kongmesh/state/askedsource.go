package state

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// asked is a source: what the global's own API answers, in one of its pods that are ready, or at its address.
type asked struct {
	hub     plan.HubAPI
	outside *outside // the processes of a global that is in no cluster; nil for one that is in one
}

func newAsked(cp ControlPlane) asked {
	api := *apiOf(cp, cp.ref())
	if cp.outside != nil {
		return asked{plan.HubAPI{URL: cp.api.URL, Object: api.Object, NoLogin: true, Off: api.Off}, cp.outside}
	}
	api.Login = plan.Ref{} // it is among what is asked for
	return asked{hub: api}
}

// What is asked for (Kuma pkg/api-server/resource_endpoints.go and config_ws.go, the same from 2.7 to 3.0).
const (
	askedConfig  = "config"
	askedSecrets = GlobalSecrets
	askedZones   = "zones+insights"
)

// question is what is asked.
func (a asked) question(what string) plan.Read {
	if a.hub.URL != "" {
		return plan.Read{Name: a.hub.URL, Asked: path.Join("/", what)}
	}
	r := ControlPlanesRead
	r.Labels, r.Namespace, r.Name = "", a.hub.Object.Namespace, a.hub.Object.Name
	r.Port, r.TLS, r.Asked = a.hub.Port, a.hub.TLS, path.Join("/", a.hub.Base, what)
	return r
}

func (a asked) reads(soFar map[plan.Read]plan.Result) []plan.Read {
	var next []plan.Read
	for _, what := range []string{askedConfig, askedWho, askedSecrets, askedZones} {
		if _, done := soFar[a.question(what)]; !done {
			next = append(next, a.question(what))
		}
	}
	return next
}

// answer is what was answered to a question.
func (a asked) answer(what string, read map[plan.Read]plan.Result) plan.Result {
	return read[a.question(what)]
}

// unanswered says why there is no answer to a question, "" when there is one.
func (a asked) unanswered(what string, r plan.Result) string {
	switch why := kube.Unreadable(r); {
	case r.Missing:
		return fmt.Sprintf("its API does not know %s", path.Join("/", a.hub.Base, what))
	case why != "":
		return fmt.Sprintf("its API did not answer %s: %s", path.Join("/", a.hub.Base, what), why)
	}
	return ""
}

func (a asked) secrets(read map[plan.Read]plan.Result) globalSecrets {
	r := a.answer(askedSecrets, read)
	if why := a.unanswered(askedSecrets, r); why != "" {
		return globalSecrets{why: "the global's secrets could not be read: " + why}
	}
	return plan.Cached(r, func(r plan.Result) globalSecrets {
		list, err := kube.DecodeList[zonetoken.APISecret](r.Body)
		if err != nil { // the cause may quote one
			return globalSecrets{why: "the global's secrets could not be read: its API's answer is not as it documents"}
		}
		ns := a.hub.Object.Namespace
		var all []secretObject
		for _, o := range list {
			sum := sha256.Sum256(o.Data)
			all = append(all, secretObject{Type: zonetoken.SecretType, Data: map[string][]byte{zonetoken.SecretKey: o.Data},
				Metadata: kube.Metadata{Labels: o.Labels, Identity: kube.Identity{Name: o.Name, Namespace: ns,
					CreationTimestamp: o.Created, UID: cmp.Or(o.Created, "untold"), ResourceVersion: hex.EncodeToString(sum[:])}}})
		}
		return globalSecretsOf(ns, all)
	})
}

func (a asked) zones(read map[plan.Read]plan.Result) ([]string, string) {
	r := a.answer(askedZones, read)
	if why := a.unanswered(askedZones, r); why != "" {
		return nil, why
	}
	list := plan.Cached(r, zonesAsked)
	if list == nil {
		return nil, "its API's answer is not as it documents"
	}
	names := []string{}
	for _, z := range list {
		names = append(names, z.Name)
	}
	slices.Sort(names)
	return names, ""
}

// zoneAsked is a zone with what the global tells of its sessions (Kuma api/system/v1alpha1/zone_overview.proto).
type zoneAsked struct {
	Name    string  `json:"name"`
	Insight insight `json:"zoneInsight"`
}

// zonesAsked decodes the zones; nil when they are none.
func zonesAsked(r plan.Result) []zoneAsked {
	list, err := kube.DecodeList[zoneAsked](r.Body)
	if !r.OK() || err != nil {
		return nil
	}
	return list
}

func (a asked) insights(read map[plan.Read]plan.Result) map[string][]told {
	list := plan.Cached(a.answer(askedZones, read), zonesAsked)
	if list == nil {
		return nil
	}
	sessions := map[string][]told{}
	for _, z := range list {
		sessions[z.Name] = z.Insight.sessions()
	}
	return sessions
}

// The kind of a secret in the global's own API, and of no object of a cluster; and where the API has them.
const (
	GlobalSecretKind = "GlobalSecret"
	GlobalSecrets    = "global-secrets"
)

func (a asked) object(name string, made kube.Metadata) plan.Ref {
	return plan.Ref{Resource: askedSecrets, Kind: GlobalSecretKind, Name: name, UID: made.UID,
		ResourceVersion: made.ResourceVersion}
}

func (a asked) api(read map[plan.Read]plan.Result) *plan.HubAPI {
	api := a.hub
	if user, lacks := a.lacks(rightToIssue, read); lacks && api.Off == "" {
		r := rightToIssue
		r.User = user
		api.Off = r.String()
	}
	return &api
}

func (a asked) odd(read map[plan.Read]plan.Result) []string {
	if a.outside != nil { // its settings were answered, or there is no global
		var odd []string
		for i, config := range a.outside.configs {
			for _, why := range oddSettings(config) {
				odd = append(odd, fmt.Sprintf("process %s: %s", a.outside.processes[i].pod, why))
			}
		}
		return odd
	}
	r := a.answer(askedConfig, read)
	if why := a.unanswered(askedConfig, r); why != "" {
		return []string{"the global's settings are not known: " + why}
	}
	var config file
	if kube.Decode(r.Body, &config) != nil {
		return []string{"the global's settings are not known: its API's answer is not as it documents"}
	}
	return oddSettings(config)
}

// oddSettings are the reasons of a process's settings why nothing may be changed by its API, each a clause.
func oddSettings(config file) []string {
	text := func(path string) string {
		s, _ := config.at(path).(string)
		return zonetoken.Safe(s)
	}
	if text("mode") == "" || text("store.type") == "" {
		return []string{"the global's settings are not known: its API's answer is not as it documents"}
	}
	var odd []string
	if mode := text("mode"); mode != ModeGlobal {
		odd = append(odd, fmt.Sprintf("its API is one of a control plane with mode %s, not %s", mode, ModeGlobal))
	}
	switch store := text("store.type"); store {
	case inPostgres:
	case inMemory:
		odd = append(odd, "it keeps its state in memory (store.type), so each start makes another signing key, "+
			"and every token of the one before is refused; give it a store that lasts (postgres) first")
	case inKubernetes:
		odd = append(odd, "its API says that it keeps its state in kubernetes; a global with such a store is read by its "+
			"cluster's API server: wait until its rollout is over, or name its context instead of its address")
	default:
		odd = append(odd, fmt.Sprintf("its API says that it keeps its state in %s, which this tool does not know", store))
	}
	if config.at("apiServer.readOnly") == true {
		odd = append(odd, "its API takes no changes (apiServer.readOnly), so no key can be made or retired and no "+
			"token revoked; set KUMA_API_SERVER_READ_ONLY to false first")
	}
	return odd
}
