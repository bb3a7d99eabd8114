package state

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// sessionsOf are the sessions of each zone, oldest first. A session that its process did not end, since it died,
// stays open in the insights: it is over when that process does not run any more, or when it began before each
// process that may have it was started.
func sessionsOf(from source, read map[plan.Read]plan.Result, cp ControlPlane) map[string][]plan.Session {
	all := from.insights(read)
	if all == nil {
		return nil
	}
	running, named := processesOf(read, cp)
	sessions := map[string][]plan.Session{}
	for zone, list := range all {
		sessions[zone] = []plan.Session{}
		for _, s := range list {
			if s.Ended.IsZero() {
				s.Ended = s.diedAt(running, named)
			}
			sessions[zone] = append(sessions[zone], s.Session)
		}
	}
	return sessions
}

// told is one session as the global tells of it, and which of its processes has it, or had.
type told struct {
	plan.Session
	instance string
	config   json.RawMessage // that of the zone; nil but for the newest
}

// insight is what the global tells of one zone (Kuma api/system/v1alpha1/zone_insight.proto, written as its JSON).
type insight struct {
	Subscriptions []subscription `json:"subscriptions"`
}

// subscription is one session of a zone.
type subscription struct {
	ID             string          `json:"id"`
	Instance       string          `json:"globalInstanceId,omitempty"`
	ConnectTime    string          `json:"connectTime"`
	DisconnectTime string          `json:"disconnectTime,omitempty"`
	Provided       bool            `json:"authTokenProvided,omitempty"`
	Config         json.RawMessage `json:"config,omitempty"`
}

// trimmed is the insight with what is read of the newest session's configuration, and without all others.
func (i insight) trimmed() insight {
	newest := -1
	var began time.Time
	for n, s := range i.Subscriptions {
		if at := kube.Stamp(s.ConnectTime); newest < 0 || at.After(began) {
			newest, began = n, at
		}
	}
	for n := range i.Subscriptions {
		if s := &i.Subscriptions[n]; n == newest {
			s.Config = trimZoneConfig(s.Config)
		} else {
			s.Config = nil
		}
	}
	return i
}

// sessions are those of the zone, oldest first.
func (i insight) sessions() []told {
	all := []told{}
	for _, s := range i.Subscriptions {
		session := plan.Session{ID: s.ID, Began: kube.Stamp(s.ConnectTime), Ended: kube.Stamp(s.DisconnectTime),
			Provided: s.Provided}
		if s.DisconnectTime != "" && session.Ended.IsZero() {
			session.Ended = kube.Later(session.Began, time.Unix(1, 0)) // it is over, and when cannot be read
		}
		all = append(all, told{session, s.Instance, s.Config})
	}
	sorting.Stable(all, func(a, b *told) int { return a.Began.Compare(b.Began) })
	return all
}

// process is one process of the global that runs: its pod, and since when.
type process struct {
	pod   string
	since time.Time // zero when that is not known
}

// processesOf are the processes of the global that run, and whether a process calls itself after its pod (Kuma
// pkg/core/runtime/builder.go: the name of its host, and four more characters).
func processesOf(read map[plan.Read]plan.Result, cp ControlPlane) (all []process, named bool) {
	if cp.outside != nil { // since when they run is not told
		return cp.outside.processes, false
	}
	named = true
	workloadOf(read, cp, func(p kube.Pod, proc *plan.Process) {
		named = named && !p.Spec.HostNetwork && p.Spec.Hostname == ""
		all = append(all, process{p.Metadata.Name, p.StartedAt(ContainerName)})
	})
	return all, named
}

// diedAt is when an open session was over at the latest, since its process was not there any more; zero when it may
// last.
func (s told) diedAt(running []process, named bool) time.Time {
	holders := running
	if cut := strings.LastIndex(s.instance, "-"); named && cut > 0 {
		holders = slices.DeleteFunc(slices.Clone(running), func(p process) bool { return hostOf(p.pod) != s.instance[:cut] })
		if len(holders) == 0 && len(running) > 0 {
			return kube.Later(s.Began, time.Unix(1, 0)) // it is over, and nothing says since when
		}
	}
	var first time.Time
	for _, p := range holders {
		if p.since.IsZero() {
			return time.Time{}
		}
		if first.IsZero() || p.since.Before(first) {
			first = p.since
		}
	}
	if s.Began.Before(first) {
		return first
	}
	return time.Time{}
}

// hostOf is the name of a pod's host: at most 63 characters of its own.
func hostOf(pod string) string { return pod[:min(len(pod), 63)] }

// OpenSessions are the sessions of a zone that last, as far as the global tells. None of them counts as the newest:
// they may have begun by the clocks of several processes.
func OpenSessions(hub plan.Hub, zone string) []plan.Session {
	return slices.DeleteFunc(slices.Clone(hub.Sessions[zone]), func(s plan.Session) bool { return !s.Ended.IsZero() })
}

// BroughtTokens says whether there are sessions, and each brought a token.
func BroughtTokens(sessions []plan.Session) bool {
	return len(sessions) > 0 && !slices.ContainsFunc(sessions, func(s plan.Session) bool { return !s.Provided })
}

// sessionsUnclear says why what a global tells of sessions does not say whether a token was brought; "" when it does.
// authTokenProvided came with 2.4.0 (Kuma 0e1ce72cb0, #7563): before, its absence tells nothing.
func sessionsUnclear(v zonetoken.Version) string {
	if !v.Known() || v.AtLeast(2, 4, 0) {
		return ""
	}
	return v.String() + " does not tell whether a zone brought a token, which 2.4.0 and later do, so no zone can be verified; upgrade the global first"
}
