// Package execute carries out a migration: observe, ask what is next, write, verify, else undo, until nothing is left.
// What is about to be changed is written into the hub's journal before the first write of a wave.
//
// It has three parts:
//   - Executor is the run. It holds no client and asks Clusters for everything (migrate.go, prove.go, restore.go,
//     home.go, publish.go, rights.go; journal.go and outcome.go are its values);
//   - Live is Clusters on real clusters (live*.go, lock.go, supply.go, dryrun.go; writer in write.go and keep.go);
//   - Enroller adds members to the roster and removes them (accept.go, register.go, roster.go, enrolrights.go).
//
// It must not know a product: what to do, what verifies it and what undoes it comes from the provider.
package execute
