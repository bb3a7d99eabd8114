package zonetoken

import "github.com/xcpauth/kubectl-xcpauth/pkg/finding"

// rules are the rules of this package; each finding names one of them.
var rules finding.Registry

// Rules are the rules about tokens, signing keys, the list of revoked tokens, versions and settings, by ID.
func Rules() []finding.Rule { return rules.Rules() }

// XA100 to XA129 are about zones' tokens; XA100 and XA101 are found by package inspect.
var (
	tokenExpired = rules.Register(&finding.Rule{ID: "XA102", Name: "token-expired",
		Severity: finding.Error, Title: "a zone's token has expired",
		Remedy: "Issue another one, or run `kubectl xcpauth migrate`, which gives the zone a token."})
	tokenNotYet = rules.Register(&finding.Rule{ID: "XA103", Name: "token-not-yet",
		Severity: finding.Error, Title: "a zone's token is not valid yet",
		Remedy: "Compare the clocks of the issuer and of the global: the product allows no difference."})
	tokenNoExp = rules.Register(&finding.Rule{ID: "XA104", Name: "token-no-exp",
		Severity: finding.Error, Title: "a zone's token never expires",
		Remedy: "Issue the token again with an expiry, and revoke this one."})
	tokenExp = rules.Register(&finding.Rule{ID: "XA105", Name: "token-exp",
		Severity: finding.Error, Title: "a zone's token has an expiry that makes no sense",
		Remedy: "Issue the token again."})
	tokenLong = rules.Register(&finding.Rule{ID: "XA106", Name: "token-long",
		Severity: finding.Warning, Title: "a zone's token is valid for more than a year",
		Remedy: "Issue a token for about 30 days, and renew it in time."})
	tokenIssuedLater = rules.Register(&finding.Rule{ID: "XA107", Name: "token-issued-later",
		Severity: finding.Warning, Title: "a zone's token was issued in the future",
		Remedy: "Compare the clocks of the issuer and of the global."})
	tokenZone = rules.Register(&finding.Rule{ID: "XA108", Name: "token-zone",
		Severity: finding.Error, Title: "a zone's token is for another zone",
		Remedy: "Issue a token for this zone."})
	tokenNoZone = rules.Register(&finding.Rule{ID: "XA109", Name: "token-no-zone",
		Severity: finding.Error, Title: "a zone's token names no zone",
		Remedy: "Issue the token again for its zone."})
	tokenScope = rules.Register(&finding.Rule{ID: "XA110", Name: "token-scope",
		Severity: finding.Error, Title: "a zone's token is not for a control plane",
		Remedy: "Issue the token again with the scope `cp`."})
	tokenScopeMore = rules.Register(&finding.Rule{ID: "XA111", Name: "token-scope-more",
		Severity: finding.Warning, Title: "a zone's token is for more than a control plane",
		Remedy: "Issue a token with the scope `cp` alone."})
	tokenAudience = rules.Register(&finding.Rule{ID: "XA112", Name: "token-audience",
		Severity: finding.Warning, Title: "a zone's token names an audience",
		Remedy: "Find out what the token was made for: the product ignores the audience."})
	tokenClaimsCase = rules.Register(&finding.Rule{ID: "XA113", Name: "token-claims-case",
		Severity: finding.Warning, Title: "a zone's token has a claim whose name only some readers accept",
		Remedy: "Issue the token again, with the claims `Zone` and `Scope`."})
	tokenRevoked = rules.Register(&finding.Rule{ID: "XA114", Name: "token-revoked",
		Severity: finding.Error, Title: "a zone's token is revoked",
		Remedy: "Issue another one, or run `kubectl xcpauth migrate`, which gives the zone a token."})
	tokenRevokedInVain = rules.Register(&finding.Rule{ID: "XA115", Name: "token-revoked-in-vain",
		Severity: finding.Error, Title: "a zone's token was meant to be revoked and is still accepted",
		Remedy: "Write the list of revoked tokens again, as the product reads it."})
	tokenNoJti = rules.Register(&finding.Rule{ID: "XA116", Name: "token-no-jti",
		Severity: finding.Warning, Title: "a zone's token has no ID, so it cannot be revoked by itself",
		Remedy: "Issue the token again."})
	tokenJti = rules.Register(&finding.Rule{ID: "XA117", Name: "token-jti",
		Severity: finding.Warning, Title: "a zone's token has an ID that cannot be revoked",
		Remedy: "Issue the token again."})
	tokenUnsigned = rules.Register(&finding.Rule{ID: "XA118", Name: "token-unsigned",
		Severity: finding.Error, Title: "a zone's token is not signed",
		Remedy: "Issue the token again."})
	tokenHmac = rules.Register(&finding.Rule{ID: "XA119", Name: "token-hmac",
		Severity: finding.Error, Title: "a zone's token is signed with a shared secret",
		Remedy: "Issue the token again, and delete that secret once nothing needs it."})
	tokenAlg = rules.Register(&finding.Rule{ID: "XA120", Name: "token-alg",
		Severity: finding.Error, Title: "a zone's token is signed with an algorithm that 3.0 refuses",
		Remedy: "Issue the token again: the product signs with RS256."})
	tokenNoKid = rules.Register(&finding.Rule{ID: "XA121", Name: "token-no-kid",
		Severity: finding.Error, Title: "a zone's token does not name its key",
		Remedy: "Issue the token again, with the `kid` of the key."})
	tokenKid = rules.Register(&finding.Rule{ID: "XA122", Name: "token-kid",
		Severity: finding.Error, Title: "a zone's token names its key in a way that the product cannot use",
		Remedy: "Destroy the token, and issue another one."})
	tokenKidPadded = rules.Register(&finding.Rule{ID: "XA123", Name: "token-kid-padded",
		Severity: finding.Warning, Title: "a zone's token names a key whose serial begins with zeros",
		Remedy: "Rotate to a key whose serial does not begin with a zero."})
	tokenKidName = rules.Register(&finding.Rule{ID: "XA124", Name: "token-kid-name",
		Severity: finding.Info, Title: "a zone's token names a key that is no serial",
		Remedy: "Nothing, if the control plane has a public key of that name (2.14 or later)."})
	tokenLegacy = rules.Register(&finding.Rule{ID: "XA125", Name: "token-legacy",
		Severity: finding.Error, Mild: finding.Warning,
		Title:  "a zone's token is a Control Plane Token, which 2.10 no longer accepts",
		Remedy: "Issue a zone token instead, before the global is upgraded to 2.10."})
	tokenForm = rules.Register(&finding.Rule{ID: "XA126", Name: "token-form",
		Severity: finding.Warning, Title: "a zone's token is not written as the product writes it",
		Remedy: "Issue the token again."})
	tokenSpace = rules.Register(&finding.Rule{ID: "XA127", Name: "token-space",
		Severity: finding.Warning, Title: "a zone's token has white space around it",
		Remedy: "Store the token without it."})
)

// XA170 to XA181 are about versions and settings of control planes.
var (
	versionUnknown = rules.Register(&finding.Rule{ID: "XA170", Name: "version-unknown",
		Severity: finding.Info, Title: "the version of a control plane is not known",
		Remedy: "Nothing needs to be done; known faults of a version are not reported."})
	versionNoZoneAuthentication = rules.Register(&finding.Rule{ID: "XA171", Name: "version-no-zone-authentication",
		Severity: finding.Warning, Title: "the product's version does not authenticate zones",
		Remedy: "Upgrade to Kuma 3.0, or use Kong Mesh."})
	versionKidPanic = rules.Register(&finding.Rule{ID: "XA172", Name: "version-kid-panic",
		Severity: finding.Error, Title: "the product's version crashes on a malformed token",
		Remedy: "Upgrade to a release with the fix; the finding names them."})
	versionScopeCheck = rules.Register(&finding.Rule{ID: "XA173", Name: "version-scope-check",
		Severity: finding.Error, Title: "the product's version does not verify a token's scope correctly",
		Remedy: "Upgrade to a release with the fix; the finding names them."})
	versionLegacyTokens = rules.Register(&finding.Rule{ID: "XA174", Name: "version-legacy-tokens",
		Severity: finding.Warning, Title: "the product's version still accepts Control Plane Tokens",
		Remedy: "Issue zone tokens before the global is upgraded to 2.10."})
	environmentExits = rules.Register(&finding.Rule{ID: "XA175", Name: "environment-exits",
		Severity: finding.Error, Title: "a control plane does not start with a variable that it is given",
		Remedy: "Remove the variable, and set the one that replaces it."})
	environmentNotRead = rules.Register(&finding.Rule{ID: "XA176", Name: "environment-not-read",
		Severity: finding.Error, Title: "a control plane does not read a variable that it is given",
		Remedy: "Use the older name of the variable until 2.14.6."})
	environmentDeprecated = rules.Register(&finding.Rule{ID: "XA177", Name: "environment-deprecated",
		Severity: finding.Warning, Title: "a control plane is given a variable that 3.0 does not start with",
		Remedy: "Rename the variable before upgrading to 3.0."})
	environmentValue = rules.Register(&finding.Rule{ID: "XA178", Name: "environment-value",
		Severity: finding.Error, Title: "a control plane is given a value that it does not know",
		Remedy: "Set the variable to one of the values that the finding names."})
	zoneName = rules.Register(&finding.Rule{ID: "XA179", Name: "zone-name",
		Severity: finding.Error, Mild: finding.Warning, Title: "3.0 refuses the name of a zone",
		Remedy: "Before upgrading to 3.0, create a zone with another name and move its workloads there."})
)
