// Package observe looks at clusters: it performs the reads that a provider asks for and returns snapshots, one per
// context always. Every context has its own deadline, which holds against an API server or a credential plugin that
// never answers. It must not know what the reads mean.
package observe
