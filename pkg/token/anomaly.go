package token

// Anomaly is something odd about a token.
type Anomaly struct {
	Kind AnomalyKind
	Text string // one clause, about "it"
}

// AnomalyKind is what an anomaly is about, for those who judge some otherwise.
type AnomalyKind int8

// The kinds.
const (
	OddForm    AnomalyKind = iota // its form, or a claim
	OddSpace                      // white space around it
	OddKey                        // its alg or its kid
	OddIgnored                    // something that every reader is to ignore
)

// texts are what is said of anomalies.
func texts(all []Anomaly) []string {
	var said []string
	for _, a := range all {
		said = append(said, a.Text)
	}
	return said
}
