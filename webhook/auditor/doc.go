// Package auditor looks periodically at what is stored and says who is refused: it finds what slipped in while the
// webhook was away. It tells it as an Event, three metrics and a condition on each roster entry. It runs in a
// Deployment of its own, one replica at a time.
// It must not decide: verdict.Audit does, with the webhook's own rule.
package auditor
