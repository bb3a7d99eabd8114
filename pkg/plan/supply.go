package plan

import "time"

// Supply is a request for the credentials of one member, which come from outside: the product's own CLI, or a
// manifest that another team provided.
type Supply struct {
	Member, ClusterName string
	Context, Namespace  string
	Wants               []string // the secrets that are missing or cannot be used
	Adds                []string // the secrets that are made when they are missing, and never replaced
	FullName            string   // the member's name at the hub in full, "" when the hub was not looked at
	Hosts               []string // under which members dial the hub, sorted
	Chain               []byte   // the hub's certificate with its intermediates, PEM; nil when it was not looked at
	// Token is the token to ask for, where the hub issues it or its key signs it.
	Token *TokenRequest
}

// TokenRequest asks for a token that one of the hub's keys signs.
type TokenRequest struct {
	API      *HubAPI // which is asked to sign; nil has it signed with the key itself
	Hub      string  // the context of the hub
	Key      Ref     // the secret of the key, there
	KeyAPI   *HubAPI // where the key is read; nil when it is an object of the hub's cluster
	KeyID    string
	Subject  string // who is to present it, as the hub knows it
	ValidFor time.Duration
	Secret   string // the name of the secret that is to hold it, and the key of its data
	DataKey  string
	Says     string // what is asked for and of whom, in the words of the product; one clause
}
