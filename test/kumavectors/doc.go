// Package kumavectors holds 125 tokens and settings, and what the validator of Kuma 2.14.3 answers to each: both the
// product and the stand-in must answer the same. See testdata/README.md for how the answers were recorded.
// It must not know anything of clusters.
package kumavectors
