"""Published datasets: raw trees and archives become tables of the same form as our own."""
