package zones

// Names are those of the keys.
func (k Keys) Names() []string {
	all := []string{}
	for _, r := range k.Keys {
		all = append(all, "key/"+r.KeyID)
	}
	return all
}

// Items is the key of the keys.
func (k Keys) Items() string { return "keys" }

// Names are the IDs of the tokens, as `token revoke` takes them.
func (t Tokens) Names() []string {
	all := []string{}
	for _, r := range t.Tokens {
		all = append(all, r.ID)
	}
	return all
}

// Items is the key of the tokens.
func (t Tokens) Items() string { return "tokens" }
