// Package fault stands in front of real servers and fails as networks and API servers do: a TCP proxy that stalls,
// drips, resets and cuts, and an HTTPS front that answers 401, 403, 409, 429 and 500, stops in the midst of an
// answer, or passes all on with another clock. It must not know what is asked, or by whom.
package fault
