// Package webhookprobe finds out whether a hub's API server asks the webhook about the edits that it guards: by such
// an edit as a server-side dry run, of which nothing is stored, and by a look at what stands behind the webhook. What
// was seen is judged by pure functions. It must not know how a report looks.
package webhookprobe
