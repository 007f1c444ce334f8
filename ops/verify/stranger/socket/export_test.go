package socket

// ParseFrame reads a frame and says what is told of it, for the tests.
func ParseFrame(text []byte) error {
	f, err := parseFrame(text)
	if err == nil {
		f.told()
		f.answer()
		newProof("me").take(&f)
	}
	return err
}
