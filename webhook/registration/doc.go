// Package registration keeps the entries of the webhook's ValidatingWebhookConfiguration: what the API server asks the
// webhook about. They are those of manifests/guard, written once a pod of the Service is ready and kept so from then
// on. Before that nobody is refused for want of an answer. It must not know what is decided, nor how the certificate
// is made.
package registration
