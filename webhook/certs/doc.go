// Package certs keeps the webhook's serving certificate: one CA that can vouch for one name, leaves of it that are
// renewed, and the bundle in which API servers find the CA. It knows x509, one Secret and one
// ValidatingWebhookConfiguration.
// It must not know what is served with the certificate.
//
// Anyone who reads the CA's key can answer for the webhook until the CA is changed and taken out of the bundle. They
// can do nothing else: the name constraint is critical, so a certificate of this CA is good for the name of the
// webhook's Service alone, and no other client trusts the CA. Anyone who may read that Secret may also read the
// leaf's key, which answers for the webhook as well. So a CA that turns by itself each year gains little: it ends
// that harm no sooner than a change at once.
package certs
