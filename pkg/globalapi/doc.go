// Package globalapi speaks to the REST API of a global control plane of Kong Mesh or Kuma, in one of its pods, through
// the API server's port-forward: it reads lists with all their pages, writes secrets, and has tokens issued. An answer
// counts only when it is whole, JSON, and what was asked for; nothing is followed elsewhere, and nothing that makes
// something is sent twice. It must not know steps, or what its caller makes of an answer.
package globalapi
