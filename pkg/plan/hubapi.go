package plan

// HubAPI is where a hub's own API answers, and as whom it is asked.
type HubAPI struct {
	// URL is where it answers when it is outside of clusters; "" when pods of Object do.
	URL    string `json:"url,omitempty"`
	Object Ref    `json:"object"` // the workload whose pods answer
	Port   int    `json:"port"`
	TLS    bool   `json:"tls,omitempty"`
	Base   string `json:"base"` // the path below which it answers: "/"
	// Login is the secret with the bearer token of the caller; empty when the user of the plugin has their own, or
	// needs none.
	Login Ref `json:"-"`
	// NoLogin says that a caller without a token is sent as it is: the product takes one on the hub's own host as its
	// administrator, and answers 403 where it does not.
	NoLogin bool `json:"noLogin,omitempty"`
	// Off says why it issues no tokens, one clause; "" when it does, as far as that can be seen.
	Off string `json:"-"`
}
