// Package live reads, at the moment of a decision, what registered edges may present, each in its own cluster: all
// side by side, within the time of the decision, by kubeconfigs that lie in the hub and are read there each time.
// What cannot be read is unknown, and says why. Between decisions it keeps the connections warm and the tokens
// renewed. It must not know what is decided.
package live
