// Package verdict turns one admission request and the inventory of members into an answer: who the members are, what
// guard.Withdraw says, and the words for it. The webhook's decisions are made here and nowhere else.
// It must not know a client, a clock, a log or controller-runtime; everything it needs is in its arguments.
package verdict
