package testbed_test

import (
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

func TestClusters(t *testing.T) {
	b := testbed.ForTest(t, "hub", "edge-1", "edge-2")
	_ = b
}
