package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// RotationTo begins the word of a rotation; the credential that it leads to follows. RotationBack is the word of one
// that is taken back.
const (
	RotationTo   = "rotation to "
	RotationBack = "rotation taken back"
)

// Word is where the goal leads, in a word, for the history.
func (g Goal) Word() string {
	switch g.Task() {
	case UndoRotation:
		return RotationBack
	case Rollback:
		if g.Only != "" {
			return "rollback of " + g.Only
		}
		return "rollback"
	case RenewTokens:
		return "new tokens"
	case Revoke:
		return "revocation"
	case Prune:
		return "pruning"
	case RotateKeys:
		return RotationTo + string(g.To)
	case Migrate:
	}
	return string(g.stage())
}

// Stage says how far a migration goes; each stage includes those before it.
type Stage string

// The stages.
const (
	Dual    Stage = "dual"     // the hub accepts both credentials, and no member is touched
	Edges   Stage = "edges"    // every edge presents the wanted credential, and the hub accepts both
	JWTOnly Stage = "jwt-only" // the hub accepts the wanted credential alone; also what "" means
)

// Stages lists the stages in order.
var Stages = []Stage{Dual, Edges, JWTOnly}

// Goal says what a run is to reach, where the credentials come from, and at what pace it goes. It is one Task; without
// any it is a migration. Saved plans keep it as one flat object.
type Goal struct {
	To    guard.Cred `json:"to"` // the credential that every member is to present; "" leaves it to the product
	Stage Stage      `json:"stage,omitempty"`
	// NoHub moves edges for a team that has no access to the hub: nothing of the hub is read or written.
	NoHub bool `json:"noHub,omitempty"`
	// Cleanup asks for what ends the way back: the old credentials are deleted once nothing accepts them.
	Cleanup bool `json:"cleanup,omitempty"`
	Pace
	Sources

	RollbackTask
	RotationTask
	RevocationTask
	// Prune asks for the list of revoked credentials without those that are known to have expired, and for nothing else.
	Prune bool `json:"prune,omitempty"`
	// Renew names the members whose credential is to be made again, and nothing else to be done, each with the digest of
	// the one that it has when the run begins, which the product fills in. "" among the names stands for every member
	// that presents the wanted credential.
	Renew map[string]string `json:"renew,omitempty"`
}

// Pace is how careful a run is on the way.
type Pace struct {
	Canary   string        `json:"canary,omitempty"`   // the member to change first; the first by name when empty
	WaveSize int           `json:"waveSize,omitempty"` // how many members change side by side after the canary; 0 is all
	Soak     time.Duration `json:"soak,omitempty"`     // how long a wave must stay verified before the next
	// Within is how long a step may take until it is verified; then it is undone.
	Within time.Duration `json:"within"`
	// HastyCanary lets the others move before the canary's session has outlived the token that it began with.
	HastyCanary bool `json:"hastyCanary,omitempty"`
	// Unrotated names the members of whom it is known, and accepted, that nothing renews their credential.
	Unrotated []string `json:"unrotated,omitempty"`
	// RotationWithin is how long at most a step waits until a member's session has outlived its first token.
	RotationWithin time.Duration `json:"rotationWithin,omitempty"`
	// NoFence leaves out the fence of each member; FenceFor is how long one must be seen to deny without a break.
	NoFence  bool          `json:"noFence,omitempty"`
	FenceFor time.Duration `json:"fenceFor,omitempty"`
	// QuietFor is how long the hub must stay unchanged before a run believes that no rollout of it comes; 0 stands for
	// DefaultQuietFor.
	QuietFor time.Duration `json:"quietFor,omitempty"`
	// Skip names the members that failed in this run, each with its reason: they are not tried again.
	Skip []Obstacle `json:"-"`
}

// DefaultQuietFor is longer than an operator takes to begin a rollout.
const DefaultQuietFor = 20 * time.Second

// Sources says where credentials and certificates come from that a run writes.
type Sources struct {
	// FromKey has tokens signed with the hub's key, where its own API would issue them otherwise. OwnLogin says that
	// this API is asked with a token that is provided, and not with the administrator's.
	FromKey  bool `json:"fromKey,omitempty"`
	OwnLogin bool `json:"ownLogin,omitempty"`
	// ValidFor is how long a token is valid that is made on the way; 0 leaves it to the provider.
	ValidFor time.Duration `json:"validFor,omitempty"`
	// Names are names that the hub's certificate must have besides those that the selected edges dial.
	Names []string `json:"names,omitempty"`
	// Pair is the public part of a certificate for the hub that somebody else made; its private key is with the
	// executor, as PairSecretField.
	Pair *Certificate `json:"pair,omitempty"`
	// Supplied says where members get the credentials that they lack: "tctl", "a manifest"; "" when nowhere.
	Supplied string `json:"supplied,omitempty"`
	// Manifests is the manifests that were provided, by member or cluster name; under "" the one that is for every member.
	Manifests map[string]Secret `json:"-"`
}

// RollbackTask asks for the way back: every edge that a migration moved presents again what it presented before. Only,
// when not empty, names the one edge that goes back.
type RollbackTask struct {
	Back bool   `json:"back,omitempty"`
	Only string `json:"only,omitempty"`
	// HubAgrees says that the hub's team relies no more on what was provided of the edges that go back in a run without
	// a hub.
	HubAgrees bool `json:"hubAgrees,omitempty"`
}

// RotationTask asks for credentials that are signed with the hub's key To, which is made when it is not there, and for
// the end of the older keys. With Back it asks for such a rotation to be undone: for credentials of the key before the
// newest, and for the end of that.
type RotationTask struct {
	Rotate bool `json:"rotate,omitempty"`
	// Others says that everybody else who presents a credential of the older keys, and is not seen, has got another: see
	// the provider.
	Others bool `json:"others,omitempty"`
}

// RevocationTask names credentials, by their IDs, that the hub is to refuse. A member that presents one gets another
// first, unless CutOff says that it may be refused. Reconnect has every member connect again after that.
type RevocationTask struct {
	Revoke []string `json:"revoke,omitempty"`
	// RevokedOf is whose each of them is, where that is known: the hub takes it from that member alone.
	RevokedOf map[string]string `json:"revokedOf,omitempty"`
	CutOff    bool              `json:"cutOff,omitempty"`
	Reconnect bool              `json:"reconnect,omitempty"`
}

// Task is what a goal asks for.
type Task int8

// The tasks.
const (
	Migrate Task = iota
	Rollback
	RotateKeys
	UndoRotation
	Revoke
	Prune
	RenewTokens
)

// Task is the one thing that the goal asks for. Check refuses a goal that asks for two.
func (g Goal) Task() Task {
	switch {
	case g.Back && g.Rotate:
		return UndoRotation
	case g.Back:
		return Rollback
	case g.Renew != nil:
		return RenewTokens
	case len(g.Revoke) > 0:
		return Revoke
	case g.Prune:
		return Prune
	case g.Rotate:
		return RotateKeys
	}
	return Migrate
}

// WayBack is the goal of a rollback at the pace of this one: of one edge, of all that were moved when that is "".
func (g Goal) WayBack(only string) Goal {
	g.Back, g.Only, g.Stage = true, only, Edges
	return g
}

// Reaches says whether the goal includes a stage.
func (g Goal) Reaches(s Stage) bool {
	return slices.Index(Stages, g.stage()) >= slices.Index(Stages, s)
}

// Skipped returns why a member is not tried again in this run, "" when it may be.
func (g Goal) Skipped(member string) string {
	for _, s := range g.Skip {
		if s.Member == member {
			return s.Why
		}
	}
	return ""
}

// Check refuses a goal that cannot be meant.
func (g Goal) Check() error {
	switch {
	case !slices.Contains(Stages, g.stage()):
		return fmt.Errorf("the stage %q is not known; pass --to with one of dual, edges, jwt-only", g.Stage)
	case g.WaveSize < 0:
		return fmt.Errorf("--wave-size is %d; it must be 0 (all at once) or more", g.WaveSize)
	case g.Soak < 0:
		return fmt.Errorf("--soak is %s; it must be 0 or more", g.Soak)
	case g.FenceFor < 0:
		return fmt.Errorf("--fence-for is %s; it must be 0 or more", g.FenceFor)
	case g.QuietFor < 0:
		return fmt.Errorf("--central-quiet-for is %s; it must be more than 0", g.QuietFor)
	case g.Within <= 0:
		return fmt.Errorf("--prove-within is %s; it must be more than 0", g.Within)
	case g.NoHub && g.stage() != Edges:
		return fmt.Errorf("--no-hub moves edges and nothing else; pass --to=edges with it")
	case g.Cleanup && g.stage() != JWTOnly:
		return fmt.Errorf("--cleanup deletes what the way back needs, so it goes with --to=jwt-only")
	case g.Cleanup && g.NoHub:
		return fmt.Errorf("--cleanup needs the hub: only there it is known that nobody presents a certificate any more")
	case g.tasks() > 1:
		return fmt.Errorf("the goal asks for two things at once; run one after the other")
	case g.Only != "" && !g.Back:
		return fmt.Errorf("--edge names the one edge to roll back; it goes with rollback")
	}
	return nil
}

// PairSecretField is the Fill of a patch that writes the private key of Goal.Pair.
const PairSecretField = "central-key"

// stage is the stage with its default.
func (g Goal) stage() Stage {
	if g.Stage == "" {
		return JWTOnly
	}
	return g.Stage
}

// tasks counts what the goal asks for besides a migration.
func (g Goal) tasks() int {
	n := 0
	for _, asked := range []bool{g.Back || g.Rotate, g.Renew != nil, len(g.Revoke) > 0, g.Prune} {
		if asked {
			n++
		}
	}
	return n
}
