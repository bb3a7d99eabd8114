// Package edgereader is how a hub may read one edge in the edge's own cluster: the least identity there, the kubeconfig
// of it that lies in the hub, and a client that does nothing but GET and renew its token. A kubeconfig is rebuilt
// field by field, and never trusted. It must not know what is read, nor what is decided from it.
package edgereader
