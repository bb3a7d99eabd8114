package sandbox

// Webhook is the admission webhook as it was deployed.
type Webhook struct{}

// Stop stops it.
func (w *Webhook) Stop() {}
