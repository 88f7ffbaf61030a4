package localcluster

// Expose gives what listens at an address of this machine one in the pod network, behind a port. It returns the address, for an
// EndpointSlice of a Service without a selector.
func (c *Cluster) Expose(address string, port int) string {
	ip := c.network.allocateIP()
	c.network.attach(ip, map[int32]string{int32(port): address})
	return ip
}
