package state

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Words are what people of Tetrate Service Bridge call things.
var Words = plan.Words{Hub: "management plane", Member: "edge", Server: "Central",
	Removal: "delete it from TSB and forget it",
	Accepts: []guard.Cred{MTLS, JWT}, Rotates: JWT,
	Credentials: map[guard.Cred]string{MTLS: "mTLS", JWT: "JWT"}}
