package zonetoken

import "github.com/xcpauth/kubectl-xcpauth/pkg/finding"

// XA130 to XA154 are about signing keys.
var (
	keyNone = rules.Register(&finding.Rule{ID: "XA130", Name: "key-none",
		Severity: finding.Error, Title: "the global has no signing key",
		Remedy: "Create one, or restart the global: its leader makes one when it starts."})
	keyType = rules.Register(&finding.Rule{ID: "XA131", Name: "key-type",
		Severity: finding.Error, Title: "a signing key's secret is of the wrong type",
		Remedy: "Delete the secret, and create it again with type `system.kuma.io/global-secret`."})
	keyNamespace = rules.Register(&finding.Rule{ID: "XA132", Name: "key-namespace",
		Severity: finding.Error, Title: "a signing key is in a namespace that the global does not read",
		Remedy: "Create the secret in the global's namespace."})
	keyMeshLabel = rules.Register(&finding.Rule{ID: "XA133", Name: "key-mesh-label",
		Severity: finding.Error, Title: "a signing key has a label that a global secret must not have",
		Remedy: "Remove the label `kuma.io/mesh`."})
	keySuffix = rules.Register(&finding.Rule{ID: "XA134", Name: "key-suffix",
		Severity: finding.Error, Title: "a signing key's name ends with something that is no serial",
		Remedy: "Give the secret another name if it is no key; otherwise create the key under the next serial."})
	keyPadded = rules.Register(&finding.Rule{ID: "XA135", Name: "key-padded",
		Severity: finding.Error, Title: "a signing key's serial begins with zeros, so its tokens are refused",
		Remedy: "Create the key again under the next serial, and issue again what was signed with this one."})
	keyNegative = rules.Register(&finding.Rule{ID: "XA136", Name: "key-negative",
		Severity: finding.Error, Title: "a signing key's serial is negative, so nothing is signed with it",
		Remedy: "Create the key again under the next serial."})
	keyKid0 = rules.Register(&finding.Rule{ID: "XA137", Name: "key-kid-0",
		Severity: finding.Warning, Title: "a signing key has no serial",
		Remedy: "Rotate to a key with a serial."})
	keySerialTwice = rules.Register(&finding.Rule{ID: "XA138", Name: "key-serial-twice",
		Severity: finding.Error, Title: "two signing keys have the same serial",
		Remedy: "Create one key again under the next serial. Delete these once no token is signed with them."})
	keySignerUnreadable = rules.Register(&finding.Rule{ID: "XA139", Name: "key-signer-unreadable",
		Severity: finding.Error, Title: "the key that the global signs with cannot be read",
		Remedy: "Delete the key: the one before it then signs again."})
	keySignerNotVerifier = rules.Register(&finding.Rule{ID: "XA140", Name: "key-signer-not-verifier",
		Severity: finding.Error, Title: "the global signs with one key and verifies with another",
		Remedy: "Create a key under the next serial, without zeros before it."})
	keyEmpty = rules.Register(&finding.Rule{ID: "XA141", Name: "key-empty",
		Severity: finding.Error, Title: "a signing key's secret is empty, which may stop the sync to all zones",
		Remedy: "Delete the secret if nothing is signed with it, and create the key again as PEM (`RSA PRIVATE KEY`)."})
	keyEc = rules.Register(&finding.Rule{ID: "XA142", Name: "key-ec",
		Severity: finding.Error, Title: "a signing key is an elliptic curve key, which may stop the sync to all zones",
		Remedy: "Delete the secret if nothing is signed with it, and create the key again as PEM (`RSA PRIVATE KEY`)."})
	keyPkcs8 = rules.Register(&finding.Rule{ID: "XA143", Name: "key-pkcs8",
		Severity: finding.Error, Title: "a signing key is PKCS#8, which may stop the sync to all zones",
		Remedy: "Convert the key with `openssl rsa -traditional`, or create another one as PKCS#1 PEM."})
	keyPem = rules.Register(&finding.Rule{ID: "XA144", Name: "key-pem",
		Severity: finding.Error, Title: "a signing key is PEM of another kind, which may stop the sync to all zones",
		Remedy: "Delete the secret if nothing is signed with it, and create the key again as PEM (`RSA PRIVATE KEY`)."})
	keyDer = rules.Register(&finding.Rule{ID: "XA145", Name: "key-der",
		Severity: finding.Error, Title: "a signing key is DER and not PEM, which may stop the sync to all zones",
		Remedy: "Delete the secret if nothing is signed with it, and create the key again as PEM (`RSA PRIVATE KEY`)."})
	keyTwiceEncoded = rules.Register(&finding.Rule{ID: "XA146", Name: "key-twice-encoded",
		Severity: finding.Error, Title: "a signing key is encoded twice, which may stop the sync to all zones",
		Remedy: "Store the PEM encoded once: `kumactl generate signing-key` prints base64 already."})
	keyUnreadable = rules.Register(&finding.Rule{ID: "XA147", Name: "key-unreadable",
		Severity: finding.Error, Title: "a signing key cannot be read, which may stop the sync to all zones",
		Remedy: "Delete the secret if nothing is signed with it, and create the key again as PEM (`RSA PRIVATE KEY`)."})
	keyShort = rules.Register(&finding.Rule{ID: "XA148", Name: "key-short",
		Severity: finding.Warning, Title: "a signing key is too short",
		Remedy: "Rotate to a key of at least 2048 bits."})
	keySurplus = rules.Register(&finding.Rule{ID: "XA149", Name: "key-surplus",
		Severity: finding.Warning, Title: "a signing key's secret holds more than the key",
		Remedy: "Store the one PEM block alone: the rest is not read."})
	KeyFile = rules.Register(&finding.Rule{ID: "XA150", Name: "key-file",
		Severity: finding.Warning, Title: "a key file would not serve as a signing key",
		Remedy: "Convert the key to PKCS#1 PEM before it becomes a signing key. `token verify` finds this."})
)

// XA155 to XA169 are about the list of revoked tokens; XA155 is found by package inspect.
var (
	RevocationsNotText = rules.Register(&finding.Rule{ID: "XA156", Name: "revocations-not-text",
		Severity: finding.Error, Title: "the list of revoked tokens is not text, so nothing on it is revoked",
		Remedy: "Write the list again as ASCII."})
	revocationsBom = rules.Register(&finding.Rule{ID: "XA157", Name: "revocations-bom",
		Severity: finding.Error, Title: "the list of revoked tokens has a byte order mark, so an ID is not revoked",
		Remedy: "Write the list again as `id1,id2` and nothing else."})
	revocationsCrlf = rules.Register(&finding.Rule{ID: "XA158", Name: "revocations-crlf",
		Severity: finding.Error, Title: "the list of revoked tokens has carriage returns, so IDs are not revoked",
		Remedy: "Write the list again as `id1,id2` and nothing else."})
	revocationsLines = rules.Register(&finding.Rule{ID: "XA159", Name: "revocations-lines",
		Severity: finding.Error, Title: "the list of revoked tokens has one ID per line, so they are not revoked",
		Remedy: "Write the list again as `id1,id2` and nothing else."})
	revocationsNewlines = rules.Register(&finding.Rule{ID: "XA160", Name: "revocations-newlines",
		Severity: finding.Error,
		Title:    "the list of revoked tokens ends with several newlines, so its last ID is not revoked",
		Remedy:   "Write the list again as `id1,id2` and nothing else."})
	revocationsSpaces = rules.Register(&finding.Rule{ID: "XA161", Name: "revocations-spaces",
		Severity: finding.Error, Title: "the list of revoked tokens has white space, so IDs are not revoked",
		Remedy: "Write the list again as `id1,id2` and nothing else."})
	revocationsForm = rules.Register(&finding.Rule{ID: "XA162", Name: "revocations-form",
		Severity: finding.Error, Title: "the list of revoked tokens has a form that the product does not read",
		Remedy: "Write the list again as `id1,id2` and nothing else."})
	revocationsUpperCase = rules.Register(&finding.Rule{ID: "XA163", Name: "revocations-upper-case",
		Severity: finding.Warning, Title: "the list of revoked tokens has an ID in upper case, which revokes nothing",
		Remedy: "Write the ID in lower case, as the token has it."})
	revocationsOddId = rules.Register(&finding.Rule{ID: "XA164", Name: "revocations-odd-id",
		Severity: finding.Warning, Title: "the list of revoked tokens has an ID that the product does not make",
		Remedy: "Leave it if another issuer makes such IDs; otherwise remove it."})
	revocationsEmptyId = rules.Register(&finding.Rule{ID: "XA165", Name: "revocations-empty-id",
		Severity: finding.Warning, Title: "the list of revoked tokens revokes every token without an ID",
		Remedy: "Leave it if that is meant; otherwise remove the extra comma."})
	revocationsTwice = rules.Register(&finding.Rule{ID: "XA166", Name: "revocations-twice",
		Severity: finding.Info, Title: "the list of revoked tokens has an ID twice",
		Remedy: "Nothing needs to be done."})
)
