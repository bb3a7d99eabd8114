// Package apart runs programs apart, as the container of a pod is: with a host name and processes of its own.
// It must not know what it runs.
package apart
