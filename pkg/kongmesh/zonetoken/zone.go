package zonetoken

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
)

// Kind is what a token is, by its claims.
type Kind string

// The kinds.
const (
	Other  Kind = ""                    // not of this product
	Zoned  Kind = "zone token"          // claims Zone and Scope
	Legacy Kind = "control plane token" // claims Zone and TokenSerialNumber, up to Kong Mesh 2.9
)

// Zone is what a zone token says of itself, unverified. A claim counts in any case, as for the product's decoder.
type Zone struct {
	Kind                       Kind
	Name                       string
	Scope                      []string
	ID                         string // jti
	KeyID                      string // "" when there is none, or when it is no text
	Serial                     int    // TokenSerialNumber, of a legacy token
	Issued, NotBefore, Expires time.Time

	alg         string
	kidThere    bool // whatever it is
	claims      map[string]json.RawMessage
	odd         string          // what readers take differently
	oddScope    bool            // Scope is there and no list of texts
	form        []token.Anomaly // what is odd about its form
	caseOfZone  string          // how the claim is written, "" when it is not there
	caseOfScope string
}

// ReadZone reads what a token says of itself. The error is for what is no token at all, and never contains a part of
// it.
func ReadZone(raw []byte) (Zone, error) {
	p, err := token.Apart(raw)
	if err != nil {
		return Zone{}, err
	}
	z := Zone{claims: p.Claims, form: p.Odd, Issued: p.Time("iat"), NotBefore: p.Time("nbf"), Expires: p.Time("exp")}
	_ = json.Unmarshal(p.Header["alg"], &z.alg) // what is no text stays ""
	_ = json.Unmarshal(p.Header["kid"], &z.KeyID)
	z.kidThere = p.Header["kid"] != nil
	_ = json.Unmarshal(p.Claims["jti"], &z.ID)
	var zone, scope json.RawMessage
	z.caseOfZone, zone = z.claim("Zone")
	z.caseOfScope, scope = z.claim("Scope")
	_ = json.Unmarshal(zone, &z.Name)
	if scope != nil && json.Unmarshal(scope, &z.Scope) != nil {
		z.oddScope, z.Scope = true, nil
	}
	serialCase, serial := z.claim("TokenSerialNumber")
	switch {
	case serialCase != "":
		z.Kind = Legacy
		_ = json.Unmarshal(serial, &z.Serial)
	case z.caseOfZone != "":
		z.Kind = Zoned
	}
	for _, c := range []struct{ name, written string }{{"Zone", z.caseOfZone}, {"Scope", z.caseOfScope}} {
		if c.written != "" && c.written != c.name {
			z.odd = fmt.Sprintf("its claim %s is not written so, and only some readers take it for that", c.name)
		}
	}
	return z, nil
}

// claim finds a claim in any case, as written, the exact one first; a second one in another case makes the token odd.
func (z *Zone) claim(name string) (written string, value json.RawMessage) {
	var found []string
	for key := range z.claims {
		if strings.EqualFold(key, name) {
			found = append(found, key)
		}
	}
	slices.Sort(found) // upper case sorts first
	for _, key := range found {
		if written != "" {
			z.odd = fmt.Sprintf("its claim %s is there twice, in two cases, and readers take one or the other", name)
			z.form = append(z.form, token.Anomaly{Text: z.odd})
		}
		if written == "" || key == name {
			written, value = key, z.claims[key]
		}
	}
	return written, value
}

// maxLife is how long a token may live without a finding.
const maxLife = 365 * 24 * time.Hour

// Findings says what is wrong with a token for this control plane, or laxer than it should be.
func (z Zone) Findings(v Verifier, now time.Time) finding.Findings {
	var f finding.Findings
	if z.Kind == Legacy {
		z.legacy(&f, v.Version)
	}
	z.times(&f, now)
	z.identity(&f, v)
	z.key(&f, v)
	for _, odd := range z.form {
		switch odd.Kind {
		case token.OddKey: // said by key
		case token.OddSpace:
			f.Add(tokenSpace, odd.Text+"; the product's decoder overlooks a newline at the end, and gRPC does not carry one",
				"Write it without; token issue does.")
		default:
			f.Add(tokenForm, odd.Text, "Issue a new one.")
		}
	}
	return f
}

// legacy says what becomes of a Control Plane Token.
func (z Zone) legacy(f *finding.Findings, v Version) {
	saw := fmt.Sprintf("it is a Control Plane Token (TokenSerialNumber %d), as Kong Mesh 1.2 to 1.4 made them: it cannot expire and cannot be revoked", z.Serial)
	remedy := "Issue a zone token instead: " + reissue(v, z.Name) + "."
	switch {
	case v.Known() && !v.hasZoneTokens():
		f.AddMild(tokenLegacy, saw, "This version has nothing newer; renew it with: "+reissue(v, z.Name)+".")
	case v.HasLegacyTokens():
		f.AddMild(tokenLegacy, saw+"; 2.10 does not take it any more", remedy)
	case !v.Known():
		f.Add(tokenLegacy, saw+"; 2.10 removed them", strings.TrimSuffix(remedy,
			".")+"; of a control plane before 2.0: "+reissue(Version{KongMesh, 1, 9, 0, ""}, z.Name)+".")
	default:
		f.Add(tokenLegacy, saw+"; 2.10 removed them", remedy)
	}
}

// times says what is wrong with when it is valid.
func (z Zone) times(f *finding.Findings, now time.Time) {
	from := now
	if !z.Issued.IsZero() {
		from = z.Issued
	}
	switch {
	case z.claims["exp"] == nil || string(z.claims["exp"]) == "null":
		f.Add(tokenNoExp, "it has no exp, so the product takes it for ever",
			"Issue a new one with an expiry, and revoke this one.")
	case z.Expires.IsZero(): // not a time that can be meant
		f.Add(tokenExp, "its exp is no time that can be meant", "Issue a new one.")
	case !now.Before(z.Expires):
		f.Add(tokenExpired, "it expired at "+z.Expires.Format(time.RFC3339), "Issue a new one.")
	case z.Expires.Sub(from) > maxLife+time.Minute:
		f.Add(tokenLong, fmt.Sprintf("it is valid for %d days; anyone who has it can be the zone for as long",
			int(z.Expires.Sub(from).Hours()/24)),
			"Issue one for 30 days or so, and have it renewed; without validFor the product's API gives 10 years.")
	}
	if z.NotBefore.After(now) {
		f.Add(tokenNotYet, "it is valid only from "+z.NotBefore.Format(time.RFC3339)+", and the product allows for no difference between clocks", "Compare the clocks.")
	}
	if z.Issued.After(now) {
		f.Add(tokenIssuedLater, "it says that it was issued later than now, which the product does not look at from 2.11 on",
			"Compare the clocks.")
	}
}

// identity says what is wrong with whom it is for.
func (z Zone) identity(f *finding.Findings, v Verifier) {
	if z.odd != "" && !slices.Contains(z.form, token.Anomaly{Text: z.odd}) {
		f.Add(tokenClaimsCase, z.odd, "Issue a new one, with the claims Zone and Scope.")
	}
	switch {
	case z.Name == "":
		f.Add(tokenNoZone, "it names no zone; an empty one passes for any zone where zone proxies connect",
			"Issue a new one for a zone.")
	case v.Zone != "" && z.Name != v.Zone:
		f.Add(tokenZone, Safe(fmt.Sprintf("it is for zone %q and not %q", z.Name, v.Zone)),
			"Issue one for the zone: "+reissue(v.Version, v.Zone)+".")
	}
	switch {
	case z.Kind == Legacy:
	case z.oddScope:
		f.Add(tokenScope, "its Scope is not a list of texts", "Issue a new one with the scope cp.")
	case !slices.Contains(z.Scope, scope):
		f.Add(tokenScope, "its scope has no cp, so it is not for a control plane (a Control Plane Token of Kong Mesh 1.5 to 2.9 has no scope either)", "Issue a new one: "+reissue(v.Version, z.Name)+".")
	case len(z.Scope) > 1:
		f.Add(tokenScopeMore, "it is for more than a control plane: anyone who has it can be a zone proxy too",
			"Issue one with the scope cp alone.")
	}
	if z.claims["aud"] != nil {
		f.Add(tokenAudience, "it names an audience, which the product does not look at: it may have been made for something else", "")
	}
	switch list := v.Revocations; {
	case z.Kind == Legacy:
	case z.ID == "" && list.Revoked(""):
		f.Add(tokenRevoked, "it has no jti, and the list of revoked tokens has an empty ID, which revokes it",
			"Issue a new one.")
	case z.ID == "":
		f.Add(tokenNoJti, "it has no jti, so it alone can never be revoked; only its key can be retired", "Issue a new one.")
	case list.Revoked(z.ID):
		f.Add(tokenRevoked, "it is revoked", "Issue a new one.")
	case slices.Contains(list.Ineffective(), z.ID):
		f.Add(tokenRevokedInVain, "it was evidently meant to be revoked, and is not: the list is not written as the product reads it", "Write the list again; token revocations does.")
	case CheckTokenID(z.ID) != nil:
		f.Add(tokenJti, "its jti cannot be written into the list of revoked tokens, so it alone can never be revoked",
			"Issue a new one.")
	}
}

// reissue is kumactl's command for a new token of a zone. Of a control plane before 2.0 it makes a Control Plane Token.
func reissue(v Version, zone string) string {
	if zone == "" || strings.ContainsFunc(zone, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.", c)
	}) {
		zone = "ZONE"
	}
	switch {
	case v.hasZoneTokens():
		return "kumactl generate zone-token --zone=" + zone + " --scope=cp --valid-for=720h"
	case v.AtLeast(1, 5, 0):
		return "kumactl generate control-plane-token --zone=" + zone + " --valid-for=720h"
	}
	return "kumactl generate control-plane-token --zone=" + zone
}

// key says what is wrong with how it is signed.
func (z Zone) key(f *finding.Findings, v Verifier) {
	switch {
	case z.alg == "" || strings.EqualFold(z.alg, "none"):
		f.Add(tokenUnsigned, "its alg is none, so anybody can have made it", "Issue a new one.")
	case strings.HasPrefix(strings.ToUpper(z.alg), "HS") && z.Kind != Legacy:
		f.Add(tokenHmac, "its alg is symmetric: anyone who can verify it can make it; up to 2.x the product takes HS256 with the bytes of secret "+KeyPrefix, "Issue a new one, and delete that secret once nothing needs it.")
	case z.alg != "RS256" && z.Kind != Legacy:
		f.Add(tokenAlg, "its alg is not RS256, the only one that the product takes from 3.0 on", "Issue a new one.")
	}
	switch {
	case z.Kind == Legacy && !z.kidThere:
	case !z.kidThere:
		f.Add(tokenNoKid, "it has no kid, so the product finds no key for it", "Issue a new one with the kid of the key.")
	case z.KeyID == "":
		f.Add(tokenKid, "its kid is no text, on which control planes without the fix (2.14.2, 2.13.10, 2.12.14, 2.11.18, 2.9.19, 2.7.29) end with a panic", "Destroy it, and issue it again.")
	case !plainKid(z.KeyID):
		f.Add(tokenKid, "its kid is not a plain name of at most 64 letters, digits, _, - and .", "Issue a new one.")
	case isNumber(z.KeyID) && len(z.KeyID) > 1 && z.KeyID[0] == '0':
		f.Add(tokenKidPadded, fmt.Sprintf("its kid %s is padded, and leads only to a secret of the padded name, with which the product itself would sign otherwise", z.KeyID), "Rotate to a key whose serial is not padded.")
	}
}

// plainKid says whether a kid is only a name.
func plainKid(kid string) bool {
	return kid != "" && len(kid) <= 64 && strings.IndexFunc(kid, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	}) < 0
}
