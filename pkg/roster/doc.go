// Package roster reads and writes the hub's list of members as data: which members are registered and what was last
// stated of them. It turns EdgeCluster objects into statements and steps into EdgeCluster objects; every provider
// shares it. It must not know a client, a clock or a product's field names.
package roster
