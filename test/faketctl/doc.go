// Command faketctl stands in for tctl where a test needs one: the commands that give a cluster its credentials, the
// profiles, the version. What it prints is what the vendor's CLI reference and public logs of it show; each place
// where those are silent says so. It must not know what the plugin does with any of it; it logs its arguments, so
// that a test sees what was put there.
package main
