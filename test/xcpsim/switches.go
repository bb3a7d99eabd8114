package xcpsim

import "time"

// Unset is what a mode that nobody wrote down means; the vendor's API page and its charts disagree.
type Unset int

const (
	UnsetKind Unset = iota // hub: both modes accepted; edge: mutual TLS
	UnsetJWT               // JWT alone (what the charts say)
	UnsetMTLS              // mutual TLS alone (what the API page says)
)

// Switches are the unknowns of the product that touch authentication. The zero value of each is the kind case; a test
// that sets one runs against the other possible product.
type Switches struct {
	Recreate            bool  // edge pods are replaced by Recreate, not by a surge
	NoHotReload         bool  // an edge keeps the token that it read when its pod started
	MintOnlyAfterFlip   bool  // the operator makes the edge token only once the ControlPlane says JWT
	HubUnset            Unset // an absent, empty or null centralAuthModes
	EdgeUnset           Unset // an absent, null or UNKNOWN centralAuthMode
	CutAtExpiry         bool  // Central ends a stream when the token that opened it expires
	MPCPrefersMTLS      bool  // MPC stays on mutual TLS while that is accepted and mpc-certs exists
	CAVolumeOptional    bool  // a JWT edge starts without xcp-central-ca-bundle and then trusts Options.PublicRoots
	ReadyWithoutSession bool  // an edge pod is Ready as soon as it runs
	TokenUnbound        bool  // Central does not compare the token's subject with the cluster that dials
	CentralKeepsCert    bool  // a Central pod serves the certificate that it read at its start
	// each edit of a ManagementPlane or ControlPlane is followed by an operator's, which adds defaults
	OperatorRewritesCR bool
	// the operators read snake_case names and enum numbers; otherwise they take them for unknown and do nothing
	AliasesUnderstood bool
	SlowSync          bool // an edge pushes at the cadence of a full cluster state, ten times slower
}

// hub and edge are how the operators read their CRs.
func (s Switches) hub() reading  { return reading{unset: s.HubUnset, aliases: s.AliasesUnderstood} }
func (s Switches) edge() reading { return reading{unset: s.EdgeUnset, aliases: s.AliasesUnderstood} }

// NamedSwitches is one configuration with the name that a test gives it.
type NamedSwitches struct {
	Name     string
	Switches Switches
}

// AllHostile returns every switch away from its kind value at once. Unset means JWT for the hub and mutual TLS for
// the edge: the pair under which two CRs that say nothing do not fit together.
func AllHostile() Switches {
	return Switches{
		Recreate: true, NoHotReload: true, MintOnlyAfterFlip: true, HubUnset: UnsetJWT, EdgeUnset: UnsetMTLS,
		CutAtExpiry:    true,
		MPCPrefersMTLS: true, CAVolumeOptional: true, ReadyWithoutSession: true, TokenUnbound: true, CentralKeepsCert: true,
		OperatorRewritesCR: true, AliasesUnderstood: true, SlowSync: true,
	}
}

// Alone returns one configuration per switch value that is not the kind one, everything else kind.
func Alone() []NamedSwitches {
	return []NamedSwitches{
		{"recreate", Switches{Recreate: true}},
		{"no hot reload", Switches{NoHotReload: true}},
		{"mint only after the flip", Switches{MintOnlyAfterFlip: true}},
		{"unset hub means jwt", Switches{HubUnset: UnsetJWT}},
		{"unset hub means mtls", Switches{HubUnset: UnsetMTLS}},
		{"unset edge means jwt", Switches{EdgeUnset: UnsetJWT}},
		{"unset edge means mtls", Switches{EdgeUnset: UnsetMTLS}},
		{"stream cut at expiry", Switches{CutAtExpiry: true}},
		{"mpc prefers mtls", Switches{MPCPrefersMTLS: true}},
		{"ca volume optional", Switches{CAVolumeOptional: true}},
		{"ready without session", Switches{ReadyWithoutSession: true}},
		{"token unbound", Switches{TokenUnbound: true}},
		{"central keeps its certificate", Switches{CentralKeepsCert: true}},
		{"operator rewrites the cr", Switches{OperatorRewritesCR: true}},
		{"aliases understood", Switches{AliasesUnderstood: true}},
		{"slow sync", Switches{SlowSync: true}},
	}
}

// EdgeSwitches change one edge at run time (Sim.SetEdge); the zero value is a healthy edge.
type EdgeSwitches struct {
	// pods started while it is on cannot reach Central, for as long as it is on; older pods are not affected
	NewPodsNeverConnect bool
	Asleep              bool // the operator keeps no edge pod
	TokenRejected       bool // Central takes this edge's token for invalid
	NoTokens            bool // the operator cannot reach the management plane's API: nothing is minted or rotated
}

// Cadence is how often things happen; a zero field gets the product's documented value divided by sixty, or as said
// here.
type Cadence struct {
	Push       time.Duration // an edge's push to Central (60 s / 60)
	TokenTTL   time.Duration // a minted token's life (1 h / 60)
	TokenRenew time.Duration // age at which it is minted again (2/3 of TokenTTL; the vendor's ratio is unknown)
	RetryMin   time.Duration // first wait after a failed dial, doubling (50 ms)
	RetryMax   time.Duration // longest wait after a failed dial (1 s)
}

// filled returns c with its zero fields filled in.
func (c Cadence) filled() Cadence {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&c.Push, time.Second)
	set(&c.TokenTTL, time.Minute)
	set(&c.TokenRenew, c.TokenTTL*2/3)
	set(&c.RetryMin, 50*time.Millisecond)
	set(&c.RetryMax, time.Second)
	return c
}
