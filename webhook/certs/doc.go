// Package certs keeps the webhook's serving certificate: a CA of its own, a leaf of it, and the bundle by which API servers believe
// both, renewed with overlap. It knows x509, one Secret and one ValidatingWebhookConfiguration.
// It must not know what is served with the certificate.
package certs
