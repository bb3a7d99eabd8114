package main

import (
	"io"
	"log"
	"log/slog"
	"sync"

	"k8s.io/klog/v2"
)

// silence has the libraries below us log nothing: client-go's klog and the standard library's log write to stderr by
// themselves, into the middle of a table that is redrawn, and with every interruption. What matters of that comes back
// as an error too, and is said of the cluster that it is about. It is done once: they may log at any time.
var silence = sync.OnceFunc(func() {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	log.SetOutput(io.Discard)
})
