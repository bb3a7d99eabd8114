package kumasim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	authorizationKey = "authorization"
	clientIDKey      = "client-id"
	instanceKey      = "kumasim-instance" // of this stand-in alone: which process of the zone it is
	configKey        = "kumasim-config"   // and its configuration, which the product sends in the stream
)

// first is the first value of a key, "" where there is none.
func first(md metadata.MD, key string) string {
	if all := md.Get(key); len(all) > 0 {
		return all[0]
	}
	return ""
}

// Reason is why a call was refused; empty for an accepted one.
type Reason string

const (
	NoClientID    Reason = "NoClientID"    // the zone did not name itself
	TokenMissing  Reason = "TokenMissing"  // no authorization value
	TokenRepeated Reason = "TokenRepeated" // more than one
	TokenExpired  Reason = "TokenExpired"
	TokenNotYet   Reason = "TokenNotYet"
	TokenRevoked  Reason = "TokenRevoked"
	KeyUnknown    Reason = "KeyUnknown"   // no secret of the kid
	TokenInvalid  Reason = "TokenInvalid" // anything else that the validator refuses
	WrongZone     Reason = "WrongZone"
	OutOfScope    Reason = "OutOfScope"
	Panicked      Reason = "Panicked" // the global's process ended on it

	ServerNotTrusted Reason = "ServerNotTrusted" // the zone refused the global's certificate
	TokenUnreadable  Reason = "TokenUnreadable"  // the zone could not read its own token, or gRPC not carry it
	Unreachable      Reason = "Unreachable"      // no authentication took place
)

// authenticate decides about one call, in the product's order: the zone names itself; one token; the validator; its
// zone; its scope.
func (g *Global) authenticate(md metadata.MD, now time.Time) (Reason, error) {
	refuse := func(r Reason, c codes.Code, format string, args ...any) (Reason, error) {
		return r, status.Errorf(c, format, args...)
	}
	ids := md.Get(clientIDKey)
	if len(ids) == 0 {
		return refuse(NoClientID, codes.InvalidArgument, "%q is not present in metadata", clientIDKey)
	}
	zone := ids[0]
	if g.opts.Auth == AuthNone {
		return "", nil
	}
	values := md.Get(authorizationKey)
	switch len(values) {
	case 0:
		return refuse(TokenMissing, codes.Unauthenticated,
			"Zone CP did not provide a zone token. 1) Generate the token using `kumactl generate zone-token --zone=%s --scope=cp` on Global CP. "+
				"2) Set the token in KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_INLINE or as a file in KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_PATH on Zone CP.", zone)
	case 1:
	default:
		return refuse(TokenRepeated, codes.Unauthenticated, "%s header has %d values. Expected 1 value",
			authorizationKey, len(values))
	}
	claims, err := g.validate(strings.TrimPrefix(strings.TrimPrefix(values[0], "Bearer "), "bearer "), now)
	var unknown *keyNotFound
	switch reason := TokenInvalid; {
	case errors.Is(err, errPanic):
		return Panicked, err
	case err != nil:
		switch {
		case errors.As(err, &unknown):
			reason = KeyUnknown
		case errors.Is(err, errRevoked):
			reason = TokenRevoked
		case errors.Is(err, jwt.ErrTokenExpired):
			reason = TokenExpired
		case errors.Is(err, jwt.ErrTokenNotValidYet):
			reason = TokenNotYet
		}
		return refuse(reason, codes.Unauthenticated, "invalid zone token: %s", err)
	case claims.Zone != zone:
		return refuse(WrongZone, codes.PermissionDenied, "token is signed for %q zone, but connected CP advertised as %q",
			claims.Zone, zone)
	case !slices.Contains(claims.Scope, "cp"):
		return refuse(OutOfScope, codes.PermissionDenied,
			"token cannot be used to authenticate zone CP (cp is out of token's scope: %+v)", claims.Scope)
	}
	return "", nil
}

// Ask says what the global answers to a zone that presents tokens, without a call; nothing is recorded. The error is
// a gRPC status, or of a panic.
func (g *Global) Ask(zone string, tokens ...string) error {
	md := metadata.Pairs(clientIDKey, zone)
	md.Append(authorizationKey, tokens...)
	_, err := g.authenticate(md, g.opts.Now())
	return err
}

// Call is one authentication: the opening of a stream, or a health check.
type Call struct {
	Time     time.Time
	Zone     string // as it names itself
	Instance string // its process, "" where it was given no name
	Health   bool
	Accepted bool
	Code     codes.Code
	Reason   Reason
	Text     string
}

// Refused says whether the call failed for a credential; a global that is away refuses nobody.
func (c Call) Refused() bool { return !c.Accepted && c.Reason != Unreachable }

func (c Call) String() string {
	what := "accepted"
	if !c.Accepted {
		what = fmt.Sprintf("%s (%s): %s", c.Reason, c.Code, c.Text)
	}
	kind := "stream"
	if c.Health {
		kind = "health check"
	}
	return fmt.Sprintf("%s %s %s: %s", c.Time.UTC().Format("15:04:05.000"), c.Zone, kind, what)
}
