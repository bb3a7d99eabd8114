// Package enrol changes the hub's roster: Enroller takes over what the team of a member stated, has the webhook read an
// edge live or no more, and forgets a member.
//
// It must not change what a member presents or what a hub accepts: that is a run of pkg/engine.
package enrol
