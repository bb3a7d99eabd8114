package state

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Words are what people of Kong Mesh and Kuma call things.
var Words = plan.Words{Hub: "global control plane", Member: "zone", Server: "global",
	Removal:  "delete the zone from the global",
	Nothing:  None,
	Required: "zoneToken", Credentials: map[guard.Cred]string{None: "no token"}, Alias: "jti:"}
