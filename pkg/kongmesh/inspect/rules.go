package inspect

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
)

// rules are the rules of this package; each finding names one of them or one of package zonetoken.
var rules finding.Registry

// Rules are all rules of Kong Mesh and Kuma, by ID.
func Rules() []finding.Rule { return finding.Sorted(zonetoken.Rules(), rules.Rules()) }

// Of XA100 to XA129, which are about zones' tokens, and of XA155 to XA169, about the list of revoked tokens.
var (
	tokenMissing = rules.Register(&finding.Rule{ID: "XA100", Name: "token-missing",
		Severity: finding.Error, Title: "a zone's token is missing, so its pods do not start",
		Remedy: "Create it, or run `kubectl xcpauth migrate`, which gives the zone a token."})
	tokenRefused = rules.Register(&finding.Rule{ID: "XA101", Name: "token-refused",
		Severity: finding.Error, Title: "the global would refuse a zone's token",
		Remedy: "Issue another one, or run `kubectl xcpauth migrate`, which gives the zone a token."})
	revocationsType = rules.Register(&finding.Rule{ID: "XA155", Name: "revocations-type",
		Severity: finding.Error, Title: "the list of revoked tokens is in a secret of the wrong type, so nothing is revoked",
		Remedy: "Delete the secret, and create it again with type `system.kuma.io/global-secret`."})
)

// XA182 to XA193 are about certificates, and whether the zones trust the global.
var (
	globalCertificateMissing = rules.Register(&finding.Rule{ID: "XA182", Name: "global-certificate-missing",
		Severity: finding.Error, Title: "the certificate that the global serves its zones with is missing",
		Remedy: "Create the secret that is named."})
	globalCertificateMalformed = rules.Register(&finding.Rule{ID: "XA183", Name: "global-certificate-malformed",
		Severity: finding.Error, Title: "the certificate that the global serves its zones with cannot be used",
		Remedy: "Put a certificate there."})
	globalCertificateOlder = rules.Register(&finding.Rule{ID: "XA184", Name: "global-certificate-older",
		Severity: finding.Warning, Title: "the global still serves an older certificate than its secret has",
		Remedy: "Restart the global once every zone verifies the new certificate."})
	globalCertificateUnknown = rules.Register(&finding.Rule{ID: "XA185", Name: "global-certificate-unknown",
		Severity: finding.Info, Title: "the certificate that the global serves its zones with is not known",
		Remedy: "Nothing needs to be done; whether a zone would refuse it is not known either."})
	zoneDoesNotVerify = rules.Register(&finding.Rule{ID: "XA186", Name: "zone-does-not-verify",
		Severity: finding.Warning, Title: "a zone does not verify the global, so it sends its token to anyone who answers",
		Remedy: "Give the zone the CA of the global's certificate, and have it verify."})
	zoneCaMissing = rules.Register(&finding.Rule{ID: "XA187", Name: "zone-ca-missing",
		Severity: finding.Error, Title: "the CA that a zone verifies the global with is missing, so its pods do not start",
		Remedy: "Create it with the CA of the global's certificate."})
	zoneCaMalformed = rules.Register(&finding.Rule{ID: "XA188", Name: "zone-ca-malformed",
		Severity: finding.Error, Title: "the CA that a zone verifies the global with cannot be used",
		Remedy: "Put the CA of the global's certificate there."})
	zoneCaUnknown = rules.Register(&finding.Rule{ID: "XA189", Name: "zone-ca-unknown",
		Severity: finding.Info, Title: "the CA that a zone verifies the global with is not known",
		Remedy: "Give the zone the CA of the global's certificate, so that it can be checked."})
	zoneRefusesGlobal = rules.Register(&finding.Rule{ID: "XA190", Name: "zone-refuses-global",
		Severity: finding.Error, Title: "a zone does not verify the certificate of the global",
		Remedy: "Add the CA that signed the global's certificate to those of the zone."})
	zoneDialsOtherName = rules.Register(&finding.Rule{ID: "XA191", Name: "zone-dials-other-name",
		Severity: finding.Error, Title: "a zone dials a name that the global's certificate does not have",
		Remedy: "Have the certificate issued again with that name, or dial a name that it has."})
)

// XA194 to XA199 are about what the global is.
var (
	globalOpen = rules.Register(&finding.Rule{ID: "XA194", Name: "global-open",
		Severity: finding.Warning, Title: "the global authenticates no zone",
		Remedy: "Run `kubectl xcpauth migrate`."})
	globalStateUnknown = rules.Register(&finding.Rule{ID: "XA195", Name: "global-state-unknown",
		Severity: finding.Error, Title: "it is not known where the global keeps its state, so nothing of it can be judged",
		Remedy: "Set `KUMA_ENVIRONMENT` and `KUMA_STORE_TYPE` as plain values that go together."})
	zoneSetsGlobal = rules.Register(&finding.Rule{ID: "XA196", Name: "zone-sets-global",
		Severity: finding.Error, Title: "a zone has a setting that only works on the global",
		Remedy: "Remove it from the zone; `kubectl xcpauth migrate` sets it on the global."})
	secretMisplaced = rules.Register(&finding.Rule{ID: "XA197", Name: "secret-misplaced",
		Severity: finding.Error, Title: "a secret of the global is in a namespace that the global does not read",
		Remedy: "Create the secret in the global's namespace, and delete this one."})
	globalAPIUnusable = rules.Register(&finding.Rule{ID: "XA198", Name: "global-api-unusable",
		Severity: finding.Error, Title: "the own API of a global that keeps its state to itself cannot be used",
		Remedy: "Do what is named; a token for the API is given with `--api-token`."})
	globalAPIRight = rules.Register(&finding.Rule{ID: "XA199", Name: "global-api-right",
		Severity: finding.Error, Title: "the user who asks the global's API lacks a right that migrate needs",
		Remedy: "Give the user the right, or pass the token of another user with `--api-token`."})
)
