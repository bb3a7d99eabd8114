// Package universal is tests with the product itself, as a global that keeps its state in PostgreSQL or in memory and
// is in no cluster: a process of kuma-cp, and so is its zone. They show that its API is as the plugin reads it.
// One real API server keeps the lock and the journal. They run where the environment names the programs:
//
//	KUMA_CP=/path/to/kuma-cp KUMACTL=/path/to/kumactl POSTGRES=/usr/lib/postgresql/15/bin make test-kuma
//
// and otherwise say that they did not. The programs are those of a product that authenticates zones: Kong Mesh, or Kuma
// from 3.0 on. POSTGRES is the directory of initdb and postgres; without it a store in memory is all there is.
// PostgreSQL does not run as root, so as root the tests run it as the user nobody.
//
// On 2026-12-01 all of them passed with PostgreSQL 15.18 and Kuma 2.14.3, built from its source with "Kong Mesh" as its
// name: it does not authenticate zones, which no test here needs. Kong's own programs were not at hand.
package universal
