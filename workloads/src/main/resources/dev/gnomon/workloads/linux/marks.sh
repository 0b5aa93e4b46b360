begin() {
  devmem @REGION@ 8 1
}
end() {
  devmem @REGION@ 8 2
}
