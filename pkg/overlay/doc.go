// Package overlay judges the overlays of a ManagementPlane or a ControlPlane by meaning: which field of which object
// each patch can reach, and whether that field is part of how Central and the edges authenticate. It must not know a
// client, a clock, or what follows from its answer; what it cannot parse reaches everything.
package overlay
