"""What is stored, and the store.

msgspec evaluates the annotations of structs. Here, and in the catalog's rows, they are not kept as text: that costs milliseconds.
"""
