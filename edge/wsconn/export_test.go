package wsconn

// Held is how many bytes of buffers p holds for what is partial.
func (p *Parser) Held() int {
	if p.part == nil {
		return 0
	}
	return cap(p.part.message) + cap(p.part.control)
}

// DecodeHeader is decodeHeader, to be held to gobwas/ws.
var DecodeHeader = decodeHeader
