package migration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// unfenced lists the edges that are verified, and could be fenced in, and are not verified to be.
func unfenced(v classified, goal plan.Goal) []*plan.Member {
	if goal.NoFence {
		return nil
	}
	var all []*plan.Member
	for _, m := range v.verified {
		if m.Err == "" && m.Fence.Unavailable == "" && !m.Fence.Verified {
			all = append(all, m)
		}
	}
	return all
}

// oldFences lists the edges that present a JWT behind a fence of another release, or one that somebody changed. Such a
// fence may deny what is harmless, or admit what is not, so it is replaced even where nothing else is to be done.
func oldFences(f plan.State, goal plan.Goal) []*plan.Member {
	if goal.NoFence {
		return nil
	}
	var all []*plan.Member
	for i, m := range f.Members {
		if m.Err == "" && m.Role == plan.RoleEdge && m.Registered && !m.EntryStale && len(m.Obstacles) == 0 &&
			m.Fence.Unavailable == "" && m.Fence.OutdatedReason != "" &&
			m.Declared == state.JWT && slices.Equal(m.Evidence.Presents, []guard.Cred{state.JWT}) {
			all = append(all, &f.Members[i])
		}
	}
	return all
}

// fenceWave fences edges in.
func fenceWave(members []*plan.Member, goal plan.Goal, obstacles []plan.Obstacle) plan.Wave {
	return plan.Wave{Title: "fences", Obstacles: obstacles,
		Steps: rollout.StepsFor(members, func(m plan.Member) plan.Step { return installFenceStep(m, goal) })}
}

// installFenceStep installs the fence in an edge's cluster and verifies that it denies: what its API server only stores
// keeps nobody out, and one that was just made is enforced some seconds later. The edge itself is not touched.
func installFenceStep(m plan.Member, goal plan.Goal) plan.Step {
	policy, binding := state.FenceObjects()
	conditions := edgeConditions(m, state.JWT, 0)
	if m.Fence.OutdatedReason == "" {
		conditions = conditions[:2] // the rest was just seen; what stood behind another fence is seen again
	}
	s := plan.Step{ID: "fence/" + m.Name, Kind: "fence", Member: m.Name, Verb: "fence in",
		Title: m.Name + ": deny every edit that would make it present a certificate again",
		Why: "the hub is about to rely on what was verified of it; behind a fence that is believed for 7 days, without one " +
			"for 15 minutes",
		WayBack: "none needed: it keeps what is, and rollback removes it first",
		Timeout: goal.Within, NoUndo: true, Optional: true, RecordOnly: true, States: plan.StatesFence,
		Probe:      &plan.Write{Context: m.Context, Cluster: m.ClusterUID, Object: m.Object, After: modePatch("MUTUAL_TLS")},
		Conditions: append(conditions, fenceDenies(m.Name, goal.FenceFor)),
		Effect: onMember(m.Name, func(m *plan.Member, f *plan.State) {
			m.Fence.Current, m.Fence.Verified, m.Fence.OutdatedReason = true, true, ""
			m.Fence.Policy.UID, m.Fence.Binding.UID = "predicted", "predicted"
			if m.Statement != nil {
				st := *m.Statement
				st.Fence, st.FenceSeen, st.Until = m.Fence.ID(), f.At, f.At.Add(roster.BelievedFenced)
				m.Statement = &st
			}
		})}
	for _, o := range []struct {
		ref    plan.Ref
		stored map[string]any
		ours   map[string]any
	}{{m.Fence.Policy, m.Fence.PolicySpec, policy}, {m.Fence.Binding, m.Fence.BindingSpec, binding}} {
		w := plan.Write{Context: m.Context, Cluster: m.ClusterUID, Object: o.ref}
		switch {
		case o.stored == nil:
			w.Op, w.After = plan.OpCreate, o.ours
		case state.Enforces(o.stored, o.ours["spec"]):
			continue
		default: // another version's, or somebody has changed it
			w.Before = map[string]any{"spec": o.stored}
			w.After = map[string]any{"spec": replacing(o.stored, o.ours["spec"])}
		}
		s.Writes = append(s.Writes, w)
	}
	return s
}

// replacing is a merge patch that turns stored into ours: what ours lacks is removed.
func replacing(stored map[string]any, ours any) map[string]any {
	patch := map[string]any{}
	want := state.AsMap(ours)
	for key := range stored {
		patch[key] = nil
	}
	for key, v := range want {
		patch[key] = v
		if sub := state.AsMap(v); sub != nil && state.AsMap(stored[key]) != nil {
			patch[key] = replacing(state.AsMap(stored[key]), sub)
		}
	}
	return patch
}

// removeFence removes the fence of a member's cluster, if there is one, having first taken back what the roster
// states of the member, and of whoever else the fence stands behind.
func removeFence(f plan.State, m plan.Member) []plan.Write {
	var writes []plan.Write
	for _, other := range f.Members {
		// one may be stated of it at this very moment
		own := other.Name == m.Name && (other.Registered || other.Statement != nil)
		relies := own || other.Context == m.Context && other.Statement != nil && other.Statement.Fence != ""
		if relies && f.Hub.Found {
			writes = append(writes, retraction(f, other))
		}
	}
	for _, o := range []plan.Ref{m.Fence.Binding, m.Fence.Policy} {
		if o.UID != "" {
			writes = append(writes, plan.Write{Context: m.Context, Cluster: m.ClusterUID, Object: o, Op: plan.OpDelete})
		}
	}
	return writes
}

// fenceDenies wants the edge's own API server to deny an edit of its mode, for as long.
func fenceDenies(name string, wanted time.Duration) plan.Condition {
	return plan.Condition{Kind: "fenced", Member: name,
		Text: fmt.Sprintf("a dry run of such an edit is denied by %s, again and again for %s, each time on a new connection",
			plan.FenceName, wanted),
		Wait:  &plan.Wait{For: max(wanted, time.Second), Within: true},
		Moves: func(r plan.Read) bool { return r == state.FencePolicyRead || r == state.FenceBindingRead },
		Follow: func() plan.Judge {
			var d denials
			return func(before, now plan.State) plan.Evaluation {
				d.see(name, now)
				return plan.OfMember(name, func(_ plan.Member, _, now plan.State) plan.Evaluation {
					return d.lasted(wanted, now.Probes[name])
				})(before, now)
			}
		}}
}

// denials are the dry runs that one fence, our policy and our binding, was seen to deny without a break.
type denials struct {
	fence        string // its ID
	count        int
	since        time.Time // when the first was denied
	before, last time.Time // the last but one, and the last
}

// see adds an observation.
func (d *denials) see(name string, now plan.State) {
	probe, made := now.Probes[name]
	m := now.Member(name)
	if !made || !byFence(probe.Denied) || m == nil || m.Err != "" || !m.Fence.Current {
		*d = denials{}
		return
	}
	if id := m.Fence.ID(); d.count == 0 || d.fence != id {
		*d = denials{fence: id, since: probe.At}
	}
	d.before, d.last = d.last, probe.At
	d.count++
}

// lasted wants every dry run of the stretch that ends now to have been denied, for as long as wanted, and the member
// to have been looked at after that: an edit that was admitted before the first denial is stored by then, and seen.
func (d *denials) lasted(wanted time.Duration, probe plan.Probe) plan.Evaluation {
	switch {
	case d.count == 0 && probe.Err != "":
		return plan.Evaluation{Evidence: "the dry run of an edit did not come to an answer: " + probe.Err}
	case d.count == 0 && probe.Denied != "":
		return plan.Evaluation{Evidence: "the dry run of an edit was denied by something else: " + probe.Denied}
	case d.count == 0:
		return plan.Evaluation{Evidence: "the dry run of an edit was let through: its API server does not enforce the fence yet"}
	case d.count < 2 || d.before.Sub(d.since) < wanted:
		return plan.Evaluation{Evidence: fmt.Sprintf("the fence denies since %s, and must be seen to for %s",
			d.since.UTC().Format(time.RFC3339), wanted)}
	}
	return plan.Evaluation{Met: true,
		Evidence: fmt.Sprintf("its API server denied %s of an edit in %s, on new connections", count(d.count, "dry run"),
			d.last.Sub(d.since).Round(time.Second))}
}

// byFence says whether admission's words name our policy and our binding.
func byFence(denied string) bool {
	return strings.Contains(denied, fmt.Sprintf("ValidatingAdmissionPolicy '%s' with binding '%s'", plan.FenceName,
		plan.FenceName))
}
