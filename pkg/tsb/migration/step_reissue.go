package migration

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// reissueStep adds names to the Certificate that makes Central's certificate.
func reissueStep(f plan.State, who string, h plan.Hub, v classified, lacks []string, goal plan.Goal) plan.Step {
	w := plan.Write{Context: h.Context, Cluster: h.ClusterUID, Object: h.Issuer.Object,
		Before: trialSpec(h.Issuer, h.Issuer.Names), After: trialSpec(h.Issuer, withNames(h.Issuer, lacks))}
	return plan.Step{ID: hubStepID("certify", who), Kind: "certify", Member: who, Verb: "certificate",
		Title: fmt.Sprintf("%s: add %s to Central's certificate", who, strings.Join(lacks, ", ")),
		Why: "an edge with a JWT verifies the name that it dials; cert-manager re-issues the certificate and keeps the " +
			"secret meanwhile",
		WayBack: "none needed: it only adds names",
		Writes:  append([]plan.Write{w}, trialCleanUp(h)...), Conditions: certificateConditions(f, who, v.dialled, goal),
		Timeout: goal.Within, NoUndo: true, Effect: hasNames(who, v.dialled)}
}

// writePairStep writes a pair that somebody else made, and keeps the old one as a secret beside it.
func writePairStep(f plan.State, who string, h plan.Hub, v classified, goal plan.Goal) plan.Step {
	b64 := func(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
	ns, name, _ := strings.Cut(h.Server.Where, "/")
	before, after := map[string]any{"tls.crt": b64(h.Server.Chain)}, map[string]any{"tls.crt": b64(goal.Pair.Chain)}
	if goal.Pair.CA != nil {
		after["ca.crt"] = b64(goal.Pair.CA)
		if h.Server.CA != nil {
			before["ca.crt"] = b64(h.Server.CA)
		}
	}
	w := plan.Write{Context: h.Context, Cluster: h.ClusterUID,
		Object: plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: ns, Name: name},
		Before: map[string]any{"data": before}, After: map[string]any{"data": after},
		SecretField: plan.PairSecretField, BackupAs: state.PairBackup}
	undo, _ := w.Undo()
	return plan.Step{ID: hubStepID("certify", who), Kind: "certify", Member: who, Verb: "certificate",
		Title:   who + ": write the given certificate",
		Why:     "an edge with a JWT verifies the name that it dials; the given certificate has it, and everybody trusts it",
		WayBack: "the old pair is kept as a secret beside it, and written back when the proof fails",
		Writes:  []plan.Write{w}, Conditions: certificateConditions(f, who, v.dialled, goal), Timeout: goal.Within,
		Undo: []plan.Write{undo}, Effect: hasNames(who, v.dialled)}
}

// hasNames predicts a hub whose certificate has names, and no trial is left.
func hasNames(who string, names []string) func(*plan.State) {
	return func(f *plan.State) {
		trialRemoved(who)(f)
		h := hubOf(f, who)
		h.Server.Names, h.Server.Chain = union(h.Server.Names, names), nil
		h.Issuer.Names = withNames(h.Issuer, names)
		if who != "hub" {
			return
		}
		for i := range f.Members {
			if t := &f.Members[i].Trust; t.Unnamed {
				t.OK, t.Unnamed, t.Why = true, false, ""
			}
		}
	}
}

// certificateConditions verify a hub whose certificate changed.
func certificateConditions(f plan.State, who string, names []string, goal plan.Goal) []plan.Condition {
	all := []plan.Condition{certificateIssued(who, names), certificateServed(who, names, goal)}
	if who != "hub" {
		return all
	}
	return append(all, connectedConditions(f)...)
}

// certificateIssued wants Central's certificate to be as it must be.
func certificateIssued(who string, names []string) plan.Condition {
	return plan.Condition{Kind: "issued", Member: who,
		Text: "it has every name that is dialled, every member trusts it, and it keeps the SPIFFE ID and the usages of the old one",
		Met: func(before, now plan.State) plan.Evaluation {
			h, old := hubs(now)[who], hubs(before)[who]
			why := cannotReplace(h.Server, old, now, classified{dialled: names})
			switch {
			case h.Server.Err != "":
				return plan.Evaluation{Evidence: h.Server.Err}
			case why != "":
				return plan.Evaluation{Evidence: why}
			case old.Server.CA != nil && h.Server.CA == nil:
				return plan.Evaluation{Evidence: "secret " + h.Server.Where + " has no ca.crt any more"}
			}
			return plan.Evaluation{Met: true,
				Evidence: fmt.Sprintf("the certificate names %s", strings.Join(h.Server.Names, ", "))}
		}}
}

// certificateServed waits until no pod of Central serves the old certificate, or until that has been looked at for
// quietFor: then a restart of Central follows.
func certificateServed(who string, names []string, goal plan.Goal) plan.Condition {
	return plan.Condition{Kind: "served", Member: who, Text: "what each pod of Central serves was looked at",
		Follow: func() plan.Judge {
			var certificate string
			var since time.Time // when it was seen first
			return func(_, now plan.State) plan.Evaluation {
				h := hubs(now)[who]
				if since.IsZero() || h.Server.Digest != certificate {
					certificate, since = h.Server.Digest, now.At
				}
				switch {
				case !servesOldCertificate(h, names):
					return plan.Evaluation{Met: true, Evidence: "every pod of Central serves it"}
				case now.At.Sub(since) < quietFor(goal):
					return plan.Evaluation{Evidence: "waiting for Central to serve it"}
				}
				return plan.Evaluation{Met: true, Evidence: "a pod of Central goes on serving the old one; it is rolled out next"}
			}
		}}
}

// restartStep rolls Central out once, where a pod goes on serving the old certificate.
func restartStep(f plan.State, who string, h plan.Hub, v classified, goal plan.Goal) plan.Step {
	s := plan.Step{ID: hubStepID("restart", who), Kind: "restart", Member: who, Verb: "restart",
		Title:   who + ": roll Central out once",
		Why:     "a pod of it goes on serving the certificate that lacks a name which edges dial",
		WayBack: "none needed: it only starts new pods",
		Writes:  []plan.Write{centralRestart(h, h.Server.Digest)}, Timeout: goal.Within, NoUndo: true,
		Conditions: []plan.Condition{servesNewCertificate(who, v.dialled)},
		Effect:     func(f *plan.State) { hubOf(f, who).Workload.Processes = nil }}
	if who == "hub" {
		s.Conditions = append(s.Conditions, connectedConditions(f)...)
	}
	return s
}

// servesNewCertificate wants no pod of Central to serve an older certificate.
func servesNewCertificate(who string, names []string) plan.Condition {
	return plan.Condition{Kind: "fresh", Member: who, Text: "no pod of Central serves the old certificate",
		Met: func(_, now plan.State) plan.Evaluation {
			h := hubs(now)[who]
			switch {
			case !h.Workload.Settled:
				return plan.Evaluation{Evidence: "the rollout of Deployment central is not over"}
			case servesOldCertificate(h, names):
				return plan.Evaluation{Evidence: "a pod of Central still serves the old certificate"}
			}
			return plan.Evaluation{Met: true, Evidence: "every pod of Central serves a certificate with every name"}
		}}
}
