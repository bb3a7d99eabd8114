// Package chart tests the Helm chart with the real helm, and finds that helm for other tests. It knows the chart as its
// user does: by values and by what helm renders of them.
package chart
